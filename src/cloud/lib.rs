//! Files in the object stores of S3, of Google Cloud and of Azure, and of what speaks as they do.
//!
//! [`upload`] sends a file and reads it back; [`download`] fetches one. Both wait for the network: they are for
//! helper threads, for the start of the server, and for tools. Credentials come from the environment or from the
//! machine, as with the tools of these stores, and are in no argument, error or line of a log.
//!
//! Invariants
//! - A file was uploaded only when what the store gives back has its length and its checksum.
//! - A file that was fetched is whole or not there.
//! - What is under way ends with the call: no thread and no connection is left.
//!
//! In reading order: this file, `stores` (with the feature of that name, and otherwise a refusal in its place).
//!
//! Not here: what the files are, when they are sent, and trying again after minutes (the server). Single requests
//! are tried again here.

#[cfg(feature = "stores")]
mod stores;

use std::fmt;
use std::path::Path;

/// Whose store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// S3 of Amazon, and what speaks as it does.
    S3,
    /// Cloud Storage of Google.
    Gcs,
    /// Blob Storage of Azure; a bucket is a container.
    Azure,
}

/// Providers, and the first part of their addresses.
const SCHEMES: [(Provider, &str); 3] = [
    (Provider::S3, "s3://"),
    (Provider::Gcs, "gs://"),
    (Provider::Azure, "az://"),
];

/// A bucket of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Whose store.
    pub provider: Provider,
    /// Its name.
    pub name: String,
    /// The region, for S3; empty means that of the environment, or us-east-1.
    pub region: String,
    /// The address of the store; empty means that of the provider, or of the environment. One that begins with
    /// `http://` is spoken to without encryption.
    pub endpoint: String,
}

impl Bucket {
    /// Returns the address of an object in it.
    #[must_use]
    pub fn url(&self, key: &str) -> String {
        let scheme = SCHEMES.iter().find(|(it, _)| *it == self.provider);
        let scheme = scheme.map_or("", |(_, scheme)| scheme);
        format!("{scheme}{}/{key}", self.name)
    }
}

/// Returns whether a text is meant as the address of an object, and not as a path.
#[must_use]
pub fn is_url(text: &str) -> bool {
    text.contains("://")
}

/// Reads the address of an object: `s3://BUCKET/KEY`, `gs://BUCKET/KEY` or `az://CONTAINER/KEY`.
///
/// # Errors
///
/// If it is none.
pub fn parse_url(text: &str) -> Result<(Bucket, String), Refused> {
    let found = SCHEMES.iter().find_map(|(provider, scheme)| {
        let (name, key) = text.strip_prefix(scheme)?.split_once('/')?;
        let bucket = Bucket {
            provider: *provider,
            name: name.to_owned(),
            region: String::new(),
            endpoint: String::new(),
        };
        (!name.is_empty() && !key.is_empty()).then(|| (bucket, key.to_owned()))
    });
    found.ok_or_else(|| {
        Refused(format!(
            "'{text}' is no address of an object: s3://BUCKET/KEY, gs://BUCKET/KEY or az://CONTAINER/KEY"
        ))
    })
}

/// Why something could not be done, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

#[cfg(not(feature = "stores"))]
fn missing() -> Refused {
    Refused("this build has no object stores (the feature object-stores)".to_owned())
}

/// Returns whether a bucket can be spoken to as far as that is known without doing so.
///
/// # Errors
///
/// [`Refused`]
#[cfg_attr(
    not(feature = "stores"),
    expect(unused_variables, reason = "see `missing`")
)]
pub fn check(bucket: &Bucket) -> Result<(), Refused> {
    #[cfg(feature = "stores")]
    return stores::open(bucket).map(drop);
    #[cfg(not(feature = "stores"))]
    return Err(missing());
}

/// Sends a file, and reads back what has arrived. An object of this key is replaced. Returns the bytes.
///
/// # Errors
///
/// [`Refused`]; an object that was there before may be another one then.
#[cfg_attr(
    not(feature = "stores"),
    expect(unused_variables, reason = "see `missing`")
)]
pub fn upload(bucket: &Bucket, key: &str, file: &Path) -> Result<u64, Refused> {
    #[cfg(feature = "stores")]
    return stores::upload(bucket, key, file);
    #[cfg(not(feature = "stores"))]
    return Err(missing());
}

/// Fetches an object into a file; one that is there is replaced. `advance` is told how many bytes of how many
/// have come. Returns the bytes.
///
/// # Errors
///
/// [`Refused`]; the file is as before then.
#[cfg_attr(
    not(feature = "stores"),
    expect(unused_variables, reason = "see `missing`")
)]
pub fn download(
    bucket: &Bucket,
    key: &str,
    file: &Path,
    advance: &mut dyn FnMut(u64, u64),
) -> Result<u64, Refused> {
    #[cfg(feature = "stores")]
    return stores::download(bucket, key, file, advance);
    #[cfg(not(feature = "stores"))]
    return Err(missing());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, provider, name, key) in [
            ("s3://bucket/a/b.rdb", Provider::S3, "bucket", "a/b.rdb"),
            ("gs://b/c", Provider::Gcs, "b", "c"),
            ("az://box/c", Provider::Azure, "box", "c"),
        ] {
            let (bucket, found) = parse_url(text).unwrap();
            assert_eq!((bucket.provider, bucket.name.as_str()), (provider, name));
            assert_eq!(found, key);
            assert_eq!(bucket.url(&found), text);
        }
        for text in [
            "s3://bucket",
            "s3:///key",
            "s3://bucket/",
            "ftp://a/b",
            "dump.rdb",
        ] {
            assert!(parse_url(text).is_err(), "{text}");
        }
        assert!(is_url("ftp://a/b") && !is_url("/data/dump.rdb"));
    }

    #[cfg(feature = "stores")]
    #[test]
    fn what_nobody_listens_to_is_refused() {
        let bucket = Bucket {
            provider: Provider::S3,
            name: "bucket".to_owned(),
            region: String::new(),
            endpoint: "http://127.0.0.1:9".to_owned(),
        };
        let file = std::env::temp_dir().join(format!("cloud-{}", std::process::id()));
        let missing = upload(&bucket, "key", &file).unwrap_err();
        assert!(missing.0.contains("open"), "{missing}");
        std::fs::write(&file, "text").unwrap();
        let refused = upload(&bucket, "key", &file).unwrap_err();
        assert!(refused.0.contains("s3://bucket/key"), "{refused}");
        std::fs::remove_file(&file).unwrap();
    }
}
