//! Figures, with the commands that show them. Machines differ: what counts is the ratios.
