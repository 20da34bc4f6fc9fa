//! The standard streams of the guest, which are connected to the driver without a pipe or a thread.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamResult};

use super::driver::Driver;

/// Both streams. What the guest writes goes to the driver, whose answer the guest reads next.
#[derive(Clone)]
pub struct Channel(Arc<Mutex<Ends>>);

struct Ends {
    driver: Driver,
    /// What the guest has written of a line.
    written: Vec<u8>,
    /// What it has not read yet.
    unread: Bytes,
}

impl Channel {
    pub fn new(driver: Driver) -> Self {
        Self(Arc::new(Mutex::new(Ends {
            driver,
            written: Vec::new(),
            unread: Bytes::new(),
        })))
    }

    /// Calls a function with the driver.
    pub fn with<T>(&self, function: impl FnOnce(&mut Driver) -> T) -> T {
        function(&mut self.ends().driver)
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().unwrap()
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Channel {
    async fn ready(&mut self) {}
}

impl InputStream for Channel {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let unread = &mut self.ends().unread;
        let size = size.min(unread.len());
        Ok(unread.split_to(size))
    }
}

impl OutputStream for Channel {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut ends = self.ends();
        ends.written.extend_from_slice(&bytes);
        if ends.written.last() == Some(&b'\n') {
            ends.written.pop();
            let line = String::from_utf8(std::mem::take(&mut ends.written)).expect("UTF-8");
            ends.unread = ends.driver.exchange(&line).into();
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(1 << 16)
    }
}

impl IsTerminal for Channel {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Channel {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        unreachable!("the guests use WASI 0.2 for their streams")
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl StdoutStream for Channel {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        unreachable!("the guests use WASI 0.2 for their streams")
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}
