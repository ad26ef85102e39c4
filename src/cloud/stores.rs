//! The stores, through the crate `object_store`, on a runtime that lives as long as one call.
//!
//! ```text
//!   upload:    head of the file -> parts of at least 8 MiB, four under way -> complete
//!              -> length, then ranges of 8 MiB -> checksum compared
//!   download:  length -> ranges of 8 MiB -> file
//! ```
//!
//! Ranges, so that no request takes longer than the time it is given, whatever the size of the object. Memory: four
//! parts.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base::cast::{u64_from, usize_from};
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use crc_fast::Digest;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path as Key;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart};
use runtime::file::{PendingFile, ReadFile};
use tokio::runtime::Builder;

use crate::{Bucket, Provider, Refused};

/// Smallest part of an upload, but for the last, and longest range of a download.
const PART_BYTES: u64 = 8 << 20;

/// Stores take 10,000 parts of one object.
const PARTS_MAX: u64 = 9_000;

/// Parts that are under way at a time.
const PARTS_AT_ONCE: usize = 4;

/// How long and how often a single request is tried again.
const RETRY_SECONDS: u64 = 30;
const RETRIES_MAX: usize = 5;

/// Makes the client of a bucket. Nothing is sent yet.
pub(crate) fn open(bucket: &Bucket) -> Result<Arc<dyn ObjectStore>, Refused> {
    // The cryptography of this process; it has been chosen before if another call was here.
    drop(rustls::crypto::ring::default_provider().install_default());
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES_MAX,
        retry_timeout: Duration::from_secs(RETRY_SECONDS),
    };
    let Bucket {
        provider,
        name,
        region,
        endpoint,
    } = bucket;
    let is_plain = endpoint.starts_with("http://");
    let built: Result<Arc<dyn ObjectStore>, _> = match provider {
        Provider::S3 => {
            let mut builder = AmazonS3Builder::from_env()
                .with_bucket_name(name)
                .with_retry(retry);
            if !region.is_empty() {
                builder = builder.with_region(region);
            }
            if !endpoint.is_empty() {
                builder = builder.with_endpoint(endpoint).with_allow_http(is_plain);
            }
            builder.build().map(|store| Arc::new(store) as _)
        }
        Provider::Gcs => {
            let mut builder = GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(name)
                .with_retry(retry);
            if !endpoint.is_empty() {
                let options = object_store::ClientOptions::new().with_allow_http(is_plain);
                builder = builder.with_base_url(endpoint).with_client_options(options);
            }
            builder.build().map(|store| Arc::new(store) as _)
        }
        Provider::Azure => {
            let mut builder = MicrosoftAzureBuilder::from_env()
                .with_container_name(name)
                .with_retry(retry);
            if !endpoint.is_empty() {
                builder = builder
                    .with_endpoint(endpoint.clone())
                    .with_allow_http(is_plain);
            }
            builder.build().map(|store| Arc::new(store) as _)
        }
    };
    built.map_err(|error| {
        Refused(format!(
            "{}: {error}; credentials come from the environment",
            bucket.url("")
        ))
    })
}

/// See [`crate::upload`].
pub(crate) fn upload(bucket: &Bucket, key: &str, file: &Path) -> Result<u64, Refused> {
    let shown = file.display();
    let opened = ReadFile::open(file).and_then(|file| Ok((file.size_bytes()?, file)));
    let (bytes, source) = opened.map_err(|error| Refused(format!("open {shown}: {error}")))?;
    let store = open(bucket)?;
    let failed = |error: &dyn std::fmt::Display| {
        Refused(format!("upload {shown} to {}: {error}", bucket.url(key)))
    };
    let key = Key::parse(key).map_err(|error| failed(&error))?;
    run(async {
        let (sent, sum) = send(&*store, &key, source, bytes)
            .await
            .map_err(|error| failed(&*error))?;
        let mut back = Digest::new(Crc32Iscsi);
        let received = receive(&*store, &key, &mut |part, _| {
            back.update(part);
            Ok(())
        })
        .await
        .map_err(|error| failed(&*error))?;
        if (received, back.finalize()) != (sent, sum) {
            return Err(failed(&"what the store gives back is not what was sent"));
        }
        Ok(sent)
    })
}

/// See [`crate::download`].
pub(crate) fn download(
    bucket: &Bucket,
    key: &str,
    file: &Path,
    advance: &mut dyn FnMut(u64, u64),
) -> Result<u64, Refused> {
    let failed =
        |error: &dyn std::fmt::Display| Refused(format!("fetch {}: {error}", bucket.url(key)));
    let store = open(bucket)?;
    let mut target = PendingFile::create(file).map_err(|error| failed(&error))?;
    let parsed = Key::parse(key).map_err(|error| failed(&error))?;
    let mut done = 0;
    let received = run(async {
        let mut each = |part: &[u8], total| {
            target.write(part)?;
            done += u64_from(part.len());
            advance(done, total);
            Ok(())
        };
        let received = receive(&*store, &parsed, &mut each).await;
        received.map_err(|error| failed(&*error))
    })?;
    target.commit().map_err(|error| failed(&error))?;
    Ok(received)
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Runs something to its end on this thread.
fn run<T>(work: impl Future<Output = Result<T, Refused>>) -> Result<T, Refused> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Refused(format!("begin a runtime: {error}")))?;
    runtime.block_on(work)
}

/// Sends a file; returns its length and checksum.
async fn send(
    store: &dyn ObjectStore,
    key: &Key,
    mut source: ReadFile,
    bytes: u64,
) -> Result<(u64, u64), Failed> {
    let part_bytes = usize_from(PART_BYTES.max(bytes / PARTS_MAX));
    let upload = store.put_multipart(key).await?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, part_bytes);
    let mut digest = Digest::new(Crc32Iscsi);
    match send_parts(&mut source, &mut upload, part_bytes, &mut digest).await {
        Ok(sent) => {
            upload.finish().await?;
            Ok((sent, digest.finalize()))
        }
        Err(error) => {
            // The first error is the one to tell.
            drop(upload.abort().await);
            Err(error)
        }
    }
}

async fn send_parts(
    source: &mut ReadFile,
    upload: &mut WriteMultipart,
    part_bytes: usize,
    digest: &mut Digest,
) -> Result<u64, Failed> {
    let mut buffer = vec![0; part_bytes];
    let mut sent = 0;
    loop {
        let count = source.read(&mut buffer)?;
        if count == 0 {
            return Ok(sent);
        }
        digest.update(&buffer[..count]);
        sent += u64_from(count);
        upload.wait_for_capacity(PARTS_AT_ONCE).await?;
        upload.write(&buffer[..count]);
    }
}

/// Hands an object on, part by part, with its length. Returns the length.
async fn receive(
    store: &dyn ObjectStore,
    key: &Key,
    each: &mut dyn FnMut(&[u8], u64) -> std::io::Result<()>,
) -> Result<u64, Failed> {
    let total = store.head(key).await?.size;
    let mut at = 0;
    while at < total {
        let end = total.min(at + PART_BYTES);
        let part = store.get_range(key, at..end).await?;
        if u64_from(part.len()) != end - at {
            return Err("the object has changed meanwhile".into());
        }
        each(&part, total)?;
        at = end;
    }
    Ok(total)
}
