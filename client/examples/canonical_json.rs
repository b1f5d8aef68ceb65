//! Reads JSON documents, one a line, and writes for each its canonical form in hexadecimal digits,
//! or `refused: ` and why. `tests/interop/run` compares that with what others write.

use std::io::{self, BufRead as _, Write as _};

use mainstay_client::{hex, tuf::json};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().split(b'\n') {
        match json::parse(&line?) {
            Ok(value) => writeln!(out, "{}", hex::encode(&json::canonical(&value)))?,
            Err(error) => writeln!(out, "refused: {}", error.to_string().escape_debug())?,
        }
    }
    out.flush()
}
