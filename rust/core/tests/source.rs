//! Files of a slide are read as one, and what begins in one ends there.

use std::fs;
use std::io;
use std::path::PathBuf;

use coverslip_core::{ByteRange, Error, Limits, Source, TileIndex};

const FIRST: &[u8] = b"first";
const THIRD: &[u8] = b"the third";

fn three_files(folder: &tempfile::TempDir) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for (number, bytes) in [FIRST, b"", THIRD].into_iter().enumerate() {
        let path = folder.path().join(number.to_string());
        fs::write(&path, bytes)?;
        paths.push(path);
    }
    Ok(paths)
}

fn read(source: &Source, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len];
    source.read_exact_at(&mut bytes, offset).map(|()| bytes)
}

#[test]
fn files_lie_one_behind_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::open_all(&three_files(&folder).unwrap()).unwrap();
    assert_eq!(source.byte_count(), 14);
    assert_eq!(read(&source, 0, 5).unwrap(), FIRST);
    assert_eq!(read(&source, 5, 9).unwrap(), THIRD);
    assert_eq!(read(&source, 9, 5).unwrap(), b"third");
}

#[test]
fn nothing_is_read_across_two_files() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::open_all(&three_files(&folder).unwrap()).unwrap();
    for (offset, len) in [(0, 6), (4, 2), (0, 14), (13, 2), (14, 1), (u64::MAX, 1)] {
        assert!(matches!(
            read(&source, offset, len),
            Err(Error::SourceChanged)
        ));
    }
}

#[test]
fn tile_that_reaches_into_the_next_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = Source::open_all(&three_files(&folder).unwrap()).unwrap();
    for (offset, byte_count, is_inside) in [(0, 5, true), (5, 9, true), (4, 2, false)] {
        let tile = ByteRange { offset, byte_count };
        let index = TileIndex::new(vec![tile], Vec::new(), source.extents(), &Limits::default());
        assert_eq!(index.is_ok(), is_inside);
    }
}

#[test]
fn change_of_any_file_is_noticed() {
    for changed in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let paths = three_files(&folder).unwrap();
        let source = Source::open_all(&paths).unwrap();
        source.check_unchanged().unwrap();
        fs::write(&paths[changed], b"another length").unwrap();
        assert!(matches!(
            source.check_unchanged(),
            Err(Error::SourceChanged)
        ));
    }
}
