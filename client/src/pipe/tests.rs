use std::thread;

use super::*;

/// Bytes that no two offsets share for long, of more than a pipe holds at a time.
fn bytes() -> Vec<u8> {
    (0..500_000_u32).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn what_is_written_is_read_and_no_more_than_a_mebibyte_is_on_its_way() {
    let (mut writer, mut reader) = pipe();
    let writing = thread::spawn(move || {
        for piece in bytes().chunks(1000) {
            writer.write_all(piece).unwrap();
        }
        writer.finish();
    });
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap();
    writing.join().unwrap();
    assert!(read == bytes());
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "it stays at its end");
}

#[test]
fn a_writer_that_nobody_reads_waits_after_a_mebibyte() {
    let (mut writer, reader) = pipe();
    let (told, tell) = channel();
    let writing = thread::spawn(move || {
        let mut written = 0;
        while let Ok(count) = writer.write(&[7; 1000]) {
            written += count;
            let _ = told.send(written);
        }
        written
    });
    // All that there is memory for but what the reader has.
    let most = (PIECES - 1) * PIECE_BYTES;
    assert_eq!(tell.iter().find(|written| *written >= most), Some(most));
    drop(reader);
    assert_eq!(writing.join().unwrap(), most);
}

#[test]
fn what_breaks_off_is_never_taken_for_whole() {
    let (mut writer, mut reader) = pipe();
    writer.write_all(b"a part").unwrap();
    writer.flush().unwrap();
    drop(writer);
    let mut read = Vec::new();
    let error = reader.read_to_end(&mut read).unwrap_err();
    assert_eq!((read.as_slice(), error.kind()), (&b"a part"[..], io::ErrorKind::UnexpectedEof));
    assert!(reader.read(&mut [0]).is_err(), "nor later");
}

#[test]
fn an_error_comes_after_what_came_before_it() {
    let (mut writer, mut reader) = pipe();
    writer.write_all(b"a part").unwrap();
    writer.fail(io::ErrorKind::ConnectionReset.into());
    let mut read = Vec::new();
    let error = reader.read_to_end(&mut read).unwrap_err();
    assert_eq!((read.as_slice(), error.kind()), (&b"a part"[..], io::ErrorKind::ConnectionReset));
}

#[test]
fn all_of_a_reader_is_passed_on_and_the_error_with_which_it_ends() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    for breaks in [false, true] {
        let (writer, mut reader) = pipe();
        let passing = thread::spawn(move || {
            let bytes = bytes();
            if breaks {
                writer.pass_on(&mut bytes.as_slice().chain(Broken));
            } else {
                writer.pass_on(&mut bytes.as_slice());
            }
        });
        let mut read = Vec::new();
        let ended = reader.read_to_end(&mut read).map_err(|error| error.kind());
        passing.join().unwrap();
        assert!(read == bytes());
        assert_eq!(ended.err(), breaks.then_some(io::ErrorKind::ConnectionReset));
    }
}
