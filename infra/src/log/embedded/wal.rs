//! Looks through SQLite's write-ahead log before SQLite does.
//!
//! SQLite takes the log to end before the first frame that is not whole, for that is what a crash
//! leaves behind: a last transaction of which a part is missing, and nobody was told that it is
//! durable. If a frame in the middle was altered, all transactions after it would be gone, without
//! a word, and their positions given out again.
//!
//! The two are told apart by what follows. A transaction is written after the one before it was
//! synced. So where a transaction ends after the first frame that is not whole, and another goes on
//! from it, it was durable. Frames of commits that failed may lie there, too, but nothing goes on
//! from their end; and frames from before the log was last begun anew have another salt.
//!
//! The last transaction is not told from one that a crash broke off.
//!
//! The form of the file: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Bytes of a page, unless the header says otherwise.
const PAGE: usize = 4_096;

/// How often a log that another process may be writing is looked at again.
const LOOKS: u32 = 3;

type Checksum = [u32; 2];

/// The number of the first frame that is not whole although durable transactions follow, from 1; 0
/// for the log's header. `None` of a log that is not there.
pub(super) fn altered_frame(path: &Path) -> io::Result<Option<u64>> {
    let mut seen = None;
    for _ in 0..LOOKS {
        let altered = match File::open(path) {
            Ok(file) => Scan::of(BufReader::with_capacity(1 << 20, file))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        // What is just being written may look altered, but not twice.
        match altered {
            Some(_) if altered != seen => seen = altered,
            _ => return Ok(altered.map(|altered| altered.frame)),
        }
    }
    Ok(None)
}

/// What is not whole, and in which of the logs that the file was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Altered {
    frame: u64,
    salt: [u8; 8],
}

/// A frame as it was read.
struct Frame {
    salt: [u8; 8],
    /// It ends a transaction.
    ends: bool,
    /// Its checksum follows from its content and the frame before it.
    follows: bool,
}

struct Scan<R> {
    log: R,
    little_endian: bool,
    /// As stored in the frame before, or in the header.
    before: Checksum,
    page: Vec<u8>,
}

impl<R: Read> Scan<R> {
    fn of(mut log: R) -> io::Result<Option<Altered>> {
        let mut header = [0; HEADER];
        if !fill(&mut log, &mut header)? {
            return Ok(None);
        }
        let size = number(&header, 8) as usize;
        let sane = size.is_power_of_two() && (512..=65_536).contains(&size);
        let page = vec![0; if sane { size } else { PAGE }];
        let little_endian = cfg!(target_endian = "little");
        let mut scan = Self { log, little_endian, before: checksum(&header, 24), page };
        let is_whole = |scan: &Self| scan.sum([0, 0], &header[..24]) == scan.before;
        if !is_whole(&scan) {
            // Perhaps it is from a machine that has its bytes in the other order.
            scan.little_endian = !little_endian;
        }
        let salt = is_whole(&scan).then(|| salt(&header, 16));
        scan.little_endian ^= salt.is_none();
        scan.frames(salt)
    }

    /// `salt` is the header's, if that is whole.
    fn frames(&mut self, mut salt: Option<[u8; 8]>) -> io::Result<Option<Altered>> {
        let mut broken = salt.is_none().then_some(0);
        // The frame before ends a transaction, and is not before what is broken.
        let mut has_ended = false;
        for number in 1.. {
            let Some(frame) = self.next()? else { break };
            let salt = *salt.get_or_insert(frame.salt);
            let is_whole = frame.salt == salt && frame.follows;
            match broken {
                Some(frame) if has_ended && is_whole => return Ok(Some(Altered { frame, salt })),
                None if !is_whole => broken = Some(number),
                _ => {}
            }
            has_ended = broken.is_some() && frame.salt == salt && frame.ends;
        }
        Ok(None)
    }

    fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut header = [0; FRAME_HEADER];
        if !fill(&mut self.log, &mut header)? || !fill(&mut self.log, &mut self.page)? {
            return Ok(None);
        }
        let sum = self.sum(self.sum(self.before, &header[..8]), &self.page);
        self.before = checksum(&header, 16);
        let (salt, ends) = (salt(&header, 8), number(&header, 4) != 0);
        Ok(Some(Frame { salt, ends, follows: sum == self.before }))
    }

    fn sum(&self, from: Checksum, bytes: &[u8]) -> Checksum {
        let number = |bytes: &[u8]| {
            let bytes = bytes.try_into().unwrap_or_default();
            if self.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
        };
        bytes.chunks_exact(8).fold(from, |[first, second], pair| {
            let first = first.wrapping_add(number(&pair[..4])).wrapping_add(second);
            [first, second.wrapping_add(number(&pair[4..])).wrapping_add(first)]
        })
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap_or_default())
}

fn checksum(bytes: &[u8], at: usize) -> Checksum {
    [number(bytes, at), number(bytes, at + 4)]
}

fn salt(bytes: &[u8], at: usize) -> [u8; 8] {
    bytes[at..at + 8].try_into().unwrap_or_default()
}

/// False at the end of the log.
fn fill(log: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    const FRAME: usize = FRAME_HEADER + PAGE;

    /// A database that never moves anything out of its write-ahead log.
    struct Fixture {
        folder: TempDir,
        connection: Connection,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let connection = Connection::open(folder.path().join("db")).unwrap();
            connection
                .execute_batch(
                    "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0;
                     CREATE TABLE t (id INTEGER PRIMARY KEY, x)",
                )
                .unwrap();
            Self { folder, connection }
        }

        /// One transaction that writes about as many pages.
        fn write(&self, pages: usize) {
            let sql = "INSERT INTO t (x) VALUES (randomblob(?1))";
            self.connection.execute(sql, [(pages * PAGE) as i64]).unwrap();
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("db-wal")
        }

        fn log(&self) -> Vec<u8> {
            fs::read(self.path()).unwrap()
        }

        /// What is found in `log`.
        fn altered(&self, log: &[u8]) -> Option<u64> {
            let copy = self.folder.path().join("copy");
            fs::write(&copy, log).unwrap();
            altered_frame(&copy).unwrap()
        }
    }

    #[test]
    fn an_altered_byte_is_found_unless_it_is_in_the_last_transaction() {
        let fixture = Fixture::new();
        for _ in 0..5 {
            fixture.write(3);
        }
        let whole = fixture.log();
        fixture.write(3);
        let log = fixture.log();
        assert!(log.len() > whole.len() && (log.len() - HEADER).is_multiple_of(FRAME));
        assert_eq!(fixture.altered(&log), None);
        for at in (0..24).chain((HEADER..log.len()).step_by(211)) {
            let mut altered = log.clone();
            altered[at] ^= 0x10;
            let frame = at.checked_sub(HEADER).map_or(0, |at| at / FRAME + 1) as u64;
            let found = fixture.altered(&altered);
            if at < whole.len() {
                assert_eq!(found, Some(frame), "byte {at}");
            } else {
                assert_eq!(found, None, "byte {at}");
            }
        }
    }

    #[test]
    fn what_a_crash_leaves_is_no_damage() {
        let fixture = Fixture::new();
        assert_eq!(altered_frame(&fixture.folder.path().join("none")).unwrap(), None);
        for _ in 0..3 {
            fixture.write(2);
        }
        let log = fixture.log();
        for end in (0..log.len()).step_by(509) {
            assert_eq!(fixture.altered(&log[..end]), None, "{end}");
            // A part that was not written yet, in a file that has its length already.
            let mut torn = log.clone();
            torn[end..].fill(0);
            assert_eq!(fixture.altered(&torn), None, "{end}");
        }
    }

    #[test]
    fn what_a_failed_commit_leaves_behind_the_end_is_no_damage() {
        let fixture = Fixture::new();
        fixture.write(2);
        let before = fixture.log().len();
        // Both begin at the same place, and the second does not reach as far.
        let copy = fixture.folder.path().join("failed");
        for file in ["db", "db-wal"] {
            let from = fixture.folder.path().join(file);
            fs::copy(from, copy.with_file_name(file.replace("db", "failed"))).unwrap();
        }
        fixture.write(9);
        let failed = fixture.log();
        let other = Connection::open(&copy).unwrap();
        other.execute("INSERT INTO t (x) VALUES (randomblob(9000))", []).unwrap();
        let log = fs::read(copy.with_file_name("failed-wal")).unwrap();
        assert_eq!(log[..before], failed[..before]);
        assert!(before < log.len() && log.len() < failed.len());
        let both = [&log, &failed[log.len()..]].concat();
        assert_eq!(fixture.altered(&both), None);
    }

    #[test]
    fn what_is_left_from_before_the_log_was_begun_anew_is_no_damage() {
        let fixture = Fixture::new();
        for _ in 0..5 {
            fixture.write(3);
        }
        let long = fixture.log().len();
        fixture.connection.execute_batch("PRAGMA wal_checkpoint(RESTART)").unwrap();
        fixture.write(1);
        let log = fixture.log();
        assert_eq!(log.len(), long);
        assert_eq!(fixture.altered(&log), None);
    }
}
