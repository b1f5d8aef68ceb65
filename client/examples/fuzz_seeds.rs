//! Writes the inputs that the fuzz targets begin with to `client/fuzz/seeds`, or to the folder that
//! is given.

use std::{error::Error, fs, path::PathBuf};

#[path = "../fuzz/src/lib.rs"]
pub mod fuzz;

fn main() -> Result<(), Box<dyn Error>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds");
    let seeds = std::env::args_os().nth(1).map_or_else(|| PathBuf::from(default), PathBuf::from);
    for target in fuzz::TARGETS {
        let folder = seeds.join(target.name);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in (target.seeds)() {
            fs::write(folder.join(name), &bytes)?;
            fuzz::run(target.name, &bytes);
        }
    }
    Ok(())
}
