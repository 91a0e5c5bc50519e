//! What the parts beneath a command do alone, as rates: commits of the journal, and reads of rows. Prints JSON for `run.py`,
//! which sets larder's throughput beside it: `bounds DIRECTORY ENTRIES SECONDS`.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use larderd::bench::{Batch, Journal, Reader, Store};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keys that one read is asked for, as a turn's misses are.
const READ_TOGETHER: usize = 16;

fn keys(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("key:{:012}", number * 611_953 % count).into_bytes()).collect()
}

/// Does something again and again for as long, and says how often a second; `each` counts for so many.
fn rate(length: Duration, each: usize, mut what: impl FnMut()) -> f64 {
    let (began, mut times) = (Instant::now(), 0);
    loop {
        // Looking at the clock after each would be part of what is measured.
        (0..16).for_each(|_| what());
        times += 16;
        let took = began.elapsed();
        if took >= length {
            return (times * each) as f64 / took.as_secs_f64();
        }
    }
}

fn commits(dir: &Path, keys: &[Vec<u8>], length: Duration) -> Vec<(String, f64)> {
    let dir = dir.join("journal");
    std::fs::create_dir_all(&dir).expect("the directory can be written to");
    let (mut journal, mut batch, value) =
        (Journal::create(&dir), Batch::default(), Bytes::from(vec![b'x'; 64]));
    let mut found = Vec::new();
    for writes in [1, 8, 128, 800] {
        let mut some = keys.chunks_exact(writes.min(keys.len())).cycle();
        let rate = rate(length, writes, || {
            let keys = some.next().expect("it goes round");
            journal.commit(batch.encode(keys.iter().map(Vec::as_slice), &value));
        });
        let noun = if writes == 1 { "write" } else { "writes" };
        found.push((format!("commit of {writes} {noun}"), rate));
    }
    found
}

fn reads(reader: &Reader, keys: &[Vec<u8>], threads: usize, length: Duration) -> f64 {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let mut some = keys[number * keys.len() / threads..].chunks_exact(READ_TOGETHER).cycle();
                scope.spawn(move || {
                    rate(length, READ_TOGETHER, || {
                        let keys: Vec<&[u8]> =
                            some.next().expect("it goes round").iter().map(Vec::as_slice).collect();
                        assert_eq!(reader.read(&keys), keys.len());
                    })
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().expect("it read everything")).sum()
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [dir, entries, seconds] = &arguments[..] else {
        // As cargo bench starts it.
        println!("bounds: skipped: run.py starts this, with a directory, a number of entries and seconds");
        return;
    };
    let keys = keys(entries.parse().expect("ENTRIES is a number"));
    let length = Duration::from_secs_f64(seconds.parse().expect("SECONDS is a number"));
    let mut found = commits(Path::new(dir), &keys, length);

    let home = Path::new(dir).join("store");
    std::fs::create_dir_all(&home).expect("the directory can be written to");
    let mut store = Store::open(&home, 4);
    store.merge(store.written(keys.iter().map(Vec::as_slice), &Bytes::from(vec![b'x'; 64])));
    for threads in [1, 2] {
        let noun = if threads == 1 { "thread" } else { "threads" };
        found.push((
            format!("read of a row, {threads} {noun}"),
            reads(&store.reader(), &keys, threads, length),
        ));
    }
    store.stop();
    let json: serde_json::Map<String, serde_json::Value> =
        found.into_iter().map(|(name, rps)| (name, serde_json::json!({ "rps": rps }))).collect();
    println!("{}", serde_json::Value::Object(json));
}
