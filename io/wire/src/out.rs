use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::AsyncWrite;

use crate::limits::{OUT_BYTES_SOFT, OUT_SLICES_MAX, TOGETHER_BYTES_MAX};

/// Bytes for a client, in the order in which they leave: its own, and between them packets that others get
/// too and that are not copied for it. Without any room while idle.
#[derive(Default)]
pub(crate) struct Out {
    own: Vec<u8>,
    /// How many of its own bytes the stream has taken.
    written: usize,
    shared: Option<Box<Packets>>,
}

/// Packets that several clients get.
#[derive(Default)]
struct Packets {
    /// The first in turn.
    queue: VecDeque<Packet>,
    /// Bytes of them that wait.
    waiting: usize,
}

struct Packet {
    /// How many of the client's own bytes leave before it.
    after: usize,
    bytes: Arc<[u8]>,
    written: usize,
}

impl Packet {
    fn left(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }
}

impl Out {
    /// Bytes that wait.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        let shared = self.shared.as_ref().map_or(0, |shared| shared.waiting);
        self.own.len() - self.written + shared
    }

    /// Where bytes of its own are appended.
    #[inline]
    pub(crate) const fn own(&mut self) -> &mut Vec<u8> {
        &mut self.own
    }

    /// How long [`Out::own`] may become while messages of the session are added.
    pub(crate) fn room(&self) -> usize {
        let shared = self.shared.as_ref().map_or(0, |shared| shared.waiting);
        self.written + OUT_BYTES_SOFT.saturating_sub(shared)
    }

    /// Whether it has no buffer.
    #[inline]
    pub(crate) const fn is_idle(&self) -> bool {
        self.own.capacity() == 0
    }

    /// Takes an empty buffer for bytes of its own.
    pub(crate) fn lend(&mut self, buffer: Vec<u8>) {
        self.own = buffer;
    }

    /// Gives the buffer back when nothing waits.
    pub(crate) fn give_back(&mut self) -> Option<Vec<u8>> {
        let is_over = self.waiting() == 0 && !self.is_idle();
        is_over.then(|| std::mem::take(self).own)
    }

    /// Appends a packet without copying it.
    pub(crate) fn share(&mut self, bytes: Arc<[u8]>) {
        let shared = self.shared.get_or_insert_default();
        shared.waiting += bytes.len();
        shared.queue.push_back(Packet { after: self.own.len(), bytes, written: 0 });
    }

    /// Drops everything, and all room.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes once; gives the bytes that the stream took.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(stream);
        let result = match &self.shared {
            None => {
                let bytes = self.own.get(self.written..).unwrap_or_default();
                stream.poll_write(context, bytes)
            }
            Some(shared) => {
                let mut slices = [IoSlice::new(&[]); OUT_SLICES_MAX];
                let count = self.fill(shared, &mut slices);
                let slices = slices.get(..count).unwrap_or_default();
                match slices {
                    [only] => stream.poll_write(context, only),
                    _ if stream.is_write_vectored() => stream.poll_write_vectored(context, slices),
                    _ => write_together(stream, context, slices),
                }
            }
        };
        if let Poll::Ready(Ok(taken)) = result {
            self.took(taken);
        }
        result
    }

    /// What leaves next, as slices without empty ones; how many there are.
    fn fill<'a>(&'a self, shared: &'a Packets, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut count, mut from) = (0, self.written);
        let mut put = |bytes: &'a [u8]| {
            if !bytes.is_empty()
                && let Some(slice) = slices.get_mut(count)
            {
                *slice = IoSlice::new(bytes);
                count += 1;
            }
        };
        // Each packet with what leaves before it makes two at most.
        for packet in shared.queue.iter().take(OUT_SLICES_MAX) {
            put(self.own.get(from..packet.after).unwrap_or_default());
            put(packet.left());
            from = packet.after;
        }
        if shared.queue.len() < OUT_SLICES_MAX {
            put(self.own.get(from..).unwrap_or_default());
        }
        count
    }

    /// So many bytes are gone.
    fn took(&mut self, mut taken: usize) {
        let Some(shared) = &mut self.shared else {
            self.written += taken;
            return self.start_again();
        };
        while let Some(packet) = shared.queue.front_mut() {
            let own = taken.min(packet.after - self.written);
            self.written += own;
            taken -= own;
            let part = taken.min(packet.left().len());
            packet.written += part;
            shared.waiting -= part;
            taken -= part;
            if self.written < packet.after || !packet.left().is_empty() {
                return;
            }
            shared.queue.pop_front();
        }
        self.written += taken;
        self.shared = None;
        self.start_again();
    }

    /// When all its own bytes are gone, the buffer is used from its beginning.
    fn start_again(&mut self) {
        if self.written == self.own.len() {
            self.own.clear();
            self.written = 0;
        }
    }

    /// Gives back the room of what was written: a client that is always a little behind never empties its
    /// buffer. Each byte is moved at most once for a byte that was written.
    pub(crate) fn forget_written(&mut self) {
        if self.written < OUT_BYTES_SOFT.max(self.own.len() - self.written) {
            return;
        }
        self.own.drain(..self.written);
        let packets = self.shared.iter_mut().flat_map(|shared| &mut shared.queue);
        packets.for_each(|packet| packet.after -= self.written);
        self.written = 0;
    }
}

thread_local! {
    /// Where pieces are put together, for one connection after the other.
    static TOGETHER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes pieces as one to a stream that would else make a record, and a write to its socket, of each.
fn write_together<S: AsyncWrite>(
    stream: Pin<&mut S>,
    context: &mut Context<'_>,
    slices: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    TOGETHER.with_borrow_mut(|together| {
        together.clear();
        for slice in slices {
            let room = TOGETHER_BYTES_MAX - together.len();
            together.extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
        stream.poll_write(context, together)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::OUT_BYTES_MAX;

    /// A stream that takes so many bytes a write, of so many slices.
    struct Taking {
        all: Vec<u8>,
        bytes: usize,
        is_vectored: bool,
        slices: usize,
    }

    impl AsyncWrite for Taking {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.bytes);
            self.all.extend_from_slice(&bytes[..taken]);
            self.slices = self.slices.max(1);
            Poll::Ready(Ok(taken))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            assert!(slices.iter().all(|slice| !slice.is_empty()));
            self.slices = self.slices.max(slices.len());
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            self.as_mut().poll_write(context, &all)
        }

        fn is_write_vectored(&self) -> bool {
            self.is_vectored
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn write(out: &mut Out, stream: &mut Taking) {
        let context = &mut Context::from_waker(std::task::Waker::noop());
        assert!(matches!(out.poll_write(stream, context), Poll::Ready(Ok(1..))));
    }

    #[test]
    fn own_and_shared_bytes_leave_in_order_however_the_stream_takes_them() {
        for is_vectored in [false, true] {
            for bytes in [1, 2, 3, 5, 7, 64, 10_000] {
                let mut stream = Taking { all: vec![], bytes, is_vectored, slices: 0 };
                let (mut out, mut wanted) = (Out::default(), Vec::new());
                for round in 0..40u8 {
                    for _ in 0..round % 3 {
                        let packet: Vec<u8> = (0..round).collect();
                        wanted.extend_from_slice(&packet);
                        out.share(packet.into());
                    }
                    let own = vec![0xff; usize::from(round % 5)];
                    wanted.extend_from_slice(&own);
                    out.own().extend_from_slice(&own);
                    if round % 4 == 0 && out.waiting() > 0 {
                        write(&mut out, &mut stream);
                        out.forget_written();
                    }
                    assert_eq!(out.waiting() + stream.all.len(), wanted.len());
                }
                while out.waiting() > 0 {
                    write(&mut out, &mut stream);
                }
                assert_eq!(stream.all, wanted, "{bytes} bytes a write");
                assert!(out.shared.is_none() && out.give_back().is_some() && out.is_idle());
            }
        }
    }

    #[test]
    fn a_write_takes_so_many_slices_and_no_more() {
        let mut out = Out::default();
        for _ in 0..=OUT_SLICES_MAX {
            out.share([7].into());
        }
        let mut stream = Taking { all: vec![], bytes: 10_000, is_vectored: true, slices: 0 };
        write(&mut out, &mut stream);
        assert_eq!((stream.slices, out.waiting()), (OUT_SLICES_MAX, 1));
        write(&mut out, &mut stream);
        assert_eq!(out.waiting(), 0);
    }

    #[test]
    fn a_stream_of_single_pieces_gets_so_many_bytes_together_and_no_more() {
        let mut out = Out::default();
        for _ in 0..=TOGETHER_BYTES_MAX / 8192 {
            out.share(vec![7; 8192].into());
        }
        let mut stream = Taking { all: vec![], bytes: 1 << 20, is_vectored: false, slices: 0 };
        write(&mut out, &mut stream);
        assert_eq!((stream.all.len(), out.waiting()), (TOGETHER_BYTES_MAX, 8192));
        write(&mut out, &mut stream);
        assert_eq!(out.waiting(), 0);
    }

    #[test]
    fn shared_packets_take_room_from_messages_of_the_session() {
        let mut out = Out::default();
        assert_eq!(out.room(), OUT_BYTES_SOFT);
        out.share(vec![0; OUT_BYTES_SOFT - 1].into());
        assert_eq!(out.room(), 1);
        out.share([0, 0].into());
        assert_eq!(out.room(), 0);
    }

    #[test]
    fn who_is_always_a_little_behind_holds_a_bounded_buffer() {
        let mut numbers = 0u32..;
        let mut more = |out: &mut Out, count| {
            let some = numbers.by_ref().take(count);
            some.for_each(|number| out.own().extend_from_slice(&number.to_be_bytes()));
        };
        for behind in [1_000, OUT_BYTES_SOFT / 4, OUT_BYTES_MAX / 4] {
            let (mut out, mut next) = (Out::default(), None);
            more(&mut out, behind);
            for _ in 0..2_000 {
                more(&mut out, 500);
                let first = &out.own[out.written..out.written + 4];
                let number = u32::from_be_bytes(first.try_into().unwrap());
                assert_eq!(number, next.unwrap_or(number), "nothing is lost");
                next = Some(number + 500);
                out.took(4 * 500);
                out.forget_written();
                assert!(out.own.len() <= 2 * (OUT_BYTES_SOFT.max(4 * behind) + 4 * 500));
                assert_eq!(out.waiting(), 4 * behind);
            }
        }
    }
}
