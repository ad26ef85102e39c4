//! Directives of what is on disk: storage, snapshots, the log of changes, backups.

use std::path::PathBuf;

use super::{POSITIVE, SIZE, SMALL};
use crate::config::directive::Directive as D;
use crate::config::directive::Status::{Dormant, Meaningless, NotYet, Works};
use crate::config::settings::SyncPolicy;
use crate::config::value::{Kind, Value};

pub(super) static STORAGE: &[D] = &[
    D::start(
        "databases",
        Kind::Integer {
            min: 1,
            max: 65_535,
        },
        "16",
        Works(|s, v| s.databases = v.u16()),
        "Numbered databases.",
    )
    .toml(&["storage.databases"]),
    D::start(
        "dir",
        Kind::Text,
        "./data",
        Works(|s, v| s.data_dir = PathBuf::from(v.as_text())),
        "Directory of all persistent files.",
    )
    .toml(&["storage.data_dir"])
    .alias(&["data-dir"])
    .protected(),
    D::start(
        "storage-backend",
        Kind::Choice(&["memory", "hybridlog"]),
        "memory",
        NotYet("keeping values on disk"),
        "Where values live: in memory, or also on disk beyond what memory holds.",
    )
    .toml(&["storage.backend"]),
    D::start(
        "hybridlog-mutable-size",
        SIZE,
        "1gb",
        Dormant {
            switch: "storage-backend",
        },
        "Memory of all cores together for values that change in place.",
    )
    .toml(&["storage.hybridlog_mutable_size"]),
    D::start(
        "hybridlog-readonly-size",
        SIZE,
        "4gb",
        Dormant {
            switch: "storage-backend",
        },
        "Memory of all cores together for values that are on disk already.",
    )
    .toml(&["storage.hybridlog_readonly_size"]),
    D::start(
        "hybridlog-auto-tiering",
        Kind::Bool,
        "yes",
        Dormant {
            switch: "storage-backend",
        },
        "Moves values to disk by itself when memory is full.",
    )
    .toml(&["storage.hybridlog_auto_tiering"]),
    D::start(
        "hybridlog-migration-threshold",
        Kind::Text,
        "0.8",
        Dormant {
            switch: "storage-backend",
        },
        "Part of the mutable memory at which values move on.",
    )
    .toml(&["storage.hybridlog_migration_threshold"]),
];

pub(super) static SNAPSHOTS: &[D] = &[
    D::live(
        "save",
        Kind::SavePoints,
        "3600 1 300 100 60 10000",
        Works(|s, v| {
            s.save_points = match v {
                Value::SavePoints(points) => points.clone(),
                _ => Vec::new(),
            };
        }),
        "Saves after so many seconds if there were so many changes; empty means never.",
    )
    .toml(&["persistence.save"]),
    D::live(
        "dbfilename",
        Kind::FileName,
        "dump.rdb",
        Works(|s, v| v.as_text().clone_into(&mut s.rdb_file)),
        "Name of the RDB file in the data directory.",
    )
    .protected(),
    D::live(
        "rdbcompression",
        Kind::Bool,
        "yes",
        Works(|s, v| s.is_rdb_compressed = v.is_yes()),
        "Compresses strings in the RDB file.",
    ),
    D::start(
        "rdbchecksum",
        Kind::Bool,
        "yes",
        Works(|s, v| s.has_rdb_checksum = v.is_yes()),
        "Ends the RDB file with a checksum.",
    ),
    D::live(
        "rdb-tables",
        Kind::Bool,
        "yes",
        Works(|s, v| s.has_rdb_tables = v.is_yes()),
        "Writes tables into the RDB file, which Redis then does not load.",
    ),
    D::live(
        "rdb-del-sync-files",
        Kind::Bool,
        "no",
        Dormant {
            switch: "replicaof",
        },
        "Removes RDB files that served a replica only.",
    ),
    D::live(
        "rdb-save-incremental-fsync",
        Kind::Bool,
        "yes",
        Meaningless("the RDB file is brought to the disk bit by bit in any case"),
        "Lets Redis sync the RDB file bit by bit.",
    ),
    D::live(
        "stop-writes-on-bgsave-error",
        Kind::Bool,
        "yes",
        Works(|s, v| s.stops_writes_unsaved = v.is_yes()),
        "Refuses writes after a snapshot failed.",
    ),
    D::live(
        "sanitize-dump-payload",
        Kind::Choice(&["no", "yes", "clients"]),
        "no",
        Meaningless("payloads and RDB files are looked at closely in any case"),
        "How closely a payload of RESTORE or an RDB file is looked at.",
    ),
    D::start(
        "checkpoint-enabled",
        Kind::Bool,
        "no",
        NotYet("saving of snapshots"),
        "Takes a snapshot at regular times.",
    )
    .toml(&["persistence.checkpoint_enabled"]),
    D::start(
        "checkpoint-interval",
        POSITIVE,
        "300",
        Dormant {
            switch: "checkpoint-enabled",
        },
        "Seconds between two snapshots.",
    )
    .toml(&["persistence.checkpoint_interval"]),
    D::start(
        "checkpoint-dir",
        Kind::Text,
        "",
        Dormant {
            switch: "checkpoint-enabled",
        },
        "Directory of the snapshots; empty means the data directory.",
    )
    .toml(&["persistence.checkpoint_dir"]),
    D::start(
        "restore",
        Kind::Text,
        "",
        Works(|s, v| s.restore = (!v.as_text().is_empty()).then(|| v.as_text().to_owned())),
        "Backup that takes the place of the data at the start; refused if there is data already.",
    )
    .file_only(),
    D::start(
        "restore-force",
        Kind::Bool,
        "no",
        Works(|s, v| s.restores_by_force = v.is_yes()),
        "Lets `restore` move data that is there aside, into a directory beside it.",
    )
    .file_only(),
];

pub(super) static LOG: &[D] = &[
    D::live(
        "appendonly",
        Kind::Bool,
        "no",
        Works(|s, v| s.is_logged = v.is_yes()),
        "Writes every change to a log before or soon after its reply.",
    )
    .toml(&["persistence.aof_enabled"]),
    D::live(
        "appendfsync",
        Kind::Choice(&["everysec", "always", "no"]),
        "everysec",
        Works(|s, v| s.log_sync = SyncPolicy::parse(v.as_text())),
        "When the log is on disk: with each reply, each second, or when the kernel likes.",
    )
    .toml(&["persistence.aof_sync"]),
    D::start(
        "appendfilename",
        Kind::Text,
        "appendonly.aof",
        Works(|s, v| v.as_text().clone_into(&mut s.redis_log_file)),
        "First part of the names of the files of Redis that a new log goes on from.",
    ),
    D::start(
        "appenddirname",
        Kind::Text,
        "appendonlydir",
        Works(|s, v| v.as_text().clone_into(&mut s.log_dir)),
        "Directory of the log files in the data directory.",
    ),
    D::start(
        "aof-path",
        Kind::Text,
        "",
        Meaningless("the log has a directory of its own, appenddirname"),
        "Path that says both directory and first part of the names of the log files.",
    )
    .toml(&["persistence.aof_path"]),
    D::live(
        "no-appendfsync-on-rewrite",
        Kind::Bool,
        "no",
        Works(|s, v| s.puts_off_syncs = v.is_yes()),
        "Does not sync the log while a save or a rewriting is under way: a loss of power takes what was written since.",
    ),
    D::live(
        "auto-aof-rewrite-percentage",
        SMALL,
        "100",
        Works(|s, v| s.log_growth_percent = v.u32()),
        "Growth in percent at which the log is rewritten; 0 means never.",
    ),
    D::live(
        "auto-aof-rewrite-min-size",
        SIZE,
        "64mb",
        Works(|s, v| s.log_bytes_min = v.u64()),
        "Size below which the log is not rewritten.",
    ),
    D::live(
        "aof-load-truncated",
        Kind::Bool,
        "yes",
        Works(|s, v| s.loads_torn = v.is_yes()),
        "Starts even if the end of the log is missing.",
    ),
    D::live(
        "aof-use-rdb-preamble",
        Kind::Bool,
        "yes",
        Meaningless("a log goes on from an RDB file or from nothing"),
        "Begins a rewritten log with a snapshot.",
    ),
    D::live(
        "aof-timestamp-enabled",
        Kind::Bool,
        "no",
        Meaningless("every record has its time"),
        "Notes the time in the log.",
    ),
    D::live(
        "aof-disable-auto-gc",
        Kind::Bool,
        "no",
        Works(|s, v| s.keeps_old_logs = v.is_yes()),
        "Keeps log files that are no longer needed.",
    ),
    D::live(
        "aof-rewrite-incremental-fsync",
        Kind::Bool,
        "yes",
        Meaningless("the log is rewritten in small steps in any case"),
        "Lets Redis sync a rewritten log bit by bit.",
    ),
];

pub(super) static BACKUPS: &[D] = &[
    D::live(
        "backup-enabled",
        Kind::Bool,
        "no",
        Works(|s, v| s.has_backups = v.is_yes()),
        "Makes backups by a schedule.",
    )
    .toml(&["persistence.backup_enabled"]),
    D::live(
        "backup-schedule",
        Kind::Schedule,
        "0 */6 * * *",
        Works(|s, v| v.as_text().clone_into(&mut s.backup_schedule)),
        "Times of the backups: minute, hour, day, month, weekday, in UTC.",
    )
    .toml(&["persistence.backup_schedule"]),
    D::live(
        "backup-retention",
        Kind::Integer {
            min: 0,
            max: 36_500,
        },
        "7",
        Works(|s, v| s.backup_days = v.u32()),
        "Days that a backup is kept; the newest is always kept. 0 keeps all.",
    )
    .toml(&["persistence.backup_retention"]),
    D::live(
        "backup-dir",
        Kind::Text,
        "backups",
        Works(|s, v| s.backup_dir = PathBuf::from(v.as_text())),
        "Directory of the backups of this server; one that is not absolute is in the data directory.",
    )
    .toml(&["persistence.backup_dir"])
    .protected(),
    D::start(
        "cloud-backup-enabled",
        Kind::Bool,
        "no",
        Works(|s, v| s.has_cloud_backups = v.is_yes()),
        "Sends each backup to an object store; credentials come from the environment.",
    )
    .toml(&["persistence.cloud_backup.enabled"]),
    D::start(
        "cloud-backup-provider",
        Kind::Choice(&["s3", "gcs", "azure"]),
        "s3",
        Works(|s, v| v.as_text().clone_into(&mut s.cloud_provider)),
        "Kind of the object store.",
    )
    .toml(&["persistence.cloud_backup.provider"]),
    D::start(
        "cloud-backup-bucket",
        Kind::Text,
        "",
        Works(|s, v| v.as_text().clone_into(&mut s.cloud_bucket)),
        "Bucket of the object store, or container of Azure.",
    )
    .toml(&["persistence.cloud_backup.bucket"]),
    D::start(
        "cloud-backup-prefix",
        Kind::Text,
        "",
        Works(|s, v| v.as_text().clone_into(&mut s.cloud_prefix)),
        "First part of the names in the bucket.",
    )
    .toml(&["persistence.cloud_backup.prefix"]),
    D::start(
        "cloud-backup-region",
        Kind::Text,
        "",
        Works(|s, v| v.as_text().clone_into(&mut s.cloud_region)),
        "Region of the bucket, for S3; empty means that of the environment.",
    )
    .toml(&["persistence.cloud_backup.region"]),
    D::start(
        "cloud-backup-endpoint",
        Kind::Text,
        "",
        Works(|s, v| v.as_text().clone_into(&mut s.cloud_endpoint)),
        "Address of the object store; empty means that of its provider, or of the environment.",
    )
    .toml(&["persistence.cloud_backup.endpoint"]),
];
