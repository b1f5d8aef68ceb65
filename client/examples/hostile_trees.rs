//! Writes trees that no machine may take as they are, and odd ones that it may, to `fixtures/trees` or
//! to the folder that is given; `client/tests/trees.rs` gives them to the engine that installs.

use std::{error::Error, fs, path::PathBuf};

#[path = "../tests/trees/cases.rs"]
mod cases;
#[path = "../tests/trees/raw.rs"]
mod raw;
#[path = "../tests/trees/table.rs"]
mod table;

fn main() -> Result<(), Box<dyn Error>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/trees");
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from(default), PathBuf::from);
    fs::create_dir_all(&folder)?;
    for case in cases::corpus().into_iter().flat_map(|group| group.cases) {
        fs::write(folder.join(case.file_name()), &case.artifact)?;
        let (payload, artifact) = (case.payload.len(), case.artifact.len());
        println!("{}: {payload} bytes were signed, {artifact} travel", case.name);
    }
    fs::write(folder.join(table::TABLE), table::table())?;
    Ok(())
}
