//! The embedded log does what every log has to do.

use super::fixture;

infra::log_conformance!(fixture);

/// Two instances on one file, asked in turn, as if two processes had it open.
mod opened_twice {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use infra::log::embedded::{EmbeddedLog, EmbeddedOptions};
    use infra::log::{
        AppendError, Appended, Expected, Log, NewRecord, Position, ReadError, Record,
    };
    use tempfile::TempDir;

    struct InTurn {
        logs: [EmbeddedLog; 2],
        calls: AtomicUsize,
        _folder: TempDir,
    }

    impl InTurn {
        fn next(&self) -> &EmbeddedLog {
            &self.logs[self.calls.fetch_add(1, Ordering::Relaxed) % 2]
        }
    }

    #[async_trait]
    impl Log for InTurn {
        async fn append(
            &self,
            stream: &str,
            expected: Expected,
            records: Vec<NewRecord>,
        ) -> Result<Appended, AppendError> {
            self.next().append(stream, expected, records).await
        }

        async fn read_stream(
            &self,
            stream: &str,
            from: u64,
            limit: usize,
        ) -> Result<Vec<Record>, ReadError> {
            self.next().read_stream(stream, from, limit).await
        }

        async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<Record>, ReadError> {
            self.next().read_all(after, limit).await
        }

        async fn head(&self) -> Result<Position, ReadError> {
            self.next().head().await
        }

        async fn check_writable(&self) -> Result<(), AppendError> {
            self.next().check_writable().await
        }

        fn subscribe_all(
            &self,
            after: Position,
        ) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
            self.next().subscribe_all(after)
        }
    }

    async fn opened_twice() -> Arc<dyn Log> {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let path = folder.path().join("log.sqlite");
            EmbeddedLog::open(path, EmbeddedOptions::default()).unwrap()
        };
        Arc::new(InTurn { logs: [open(), open()], calls: AtomicUsize::default(), _folder: folder })
    }

    infra::log_conformance!(opened_twice);
}
