//! The first line of scripts and libraries: `#!lua flags=no-writes,allow-stale`, `#!lua name=mylib`.

use crate::scripts::{ScriptError, ScriptFlags};

/// Splits the source of a script into what its first line says and its code. The code keeps an empty
/// first line, so that lines count from the source.
///
/// # Errors
///
/// For a first line that begins with `#!` and says something unknown.
pub(crate) fn parse_script(source: &[u8]) -> Result<(ScriptFlags, Vec<u8>), ScriptError> {
    if !source.starts_with(b"#!") {
        return Ok((ScriptFlags::default(), source.to_vec()));
    }
    let end = source
        .iter()
        .position(|&byte| byte == b'\n')
        .ok_or_else(|| ScriptError::new("ERR Invalid script shebang"))?;
    let (line, body) = source.split_at(end);
    let mut words = line
        .split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty());
    let engine = words.next().unwrap_or_default();
    if engine != b"#!lua" {
        let mut text = b"ERR Unexpected engine in script shebang: ".to_vec();
        text.extend_from_slice(&engine[2..]);
        return Err(ScriptError(text));
    }
    let mut flags = ScriptFlags {
        has_shebang: true,
        ..ScriptFlags::default()
    };
    for word in words {
        let Some(list) = word.strip_prefix(b"flags=") else {
            let mut text = b"ERR Unknown lua shebang option: ".to_vec();
            text.extend_from_slice(word);
            return Err(ScriptError(text));
        };
        for flag in list
            .split(|&byte| byte == b',')
            .filter(|flag| !flag.is_empty())
        {
            if !flags.set(flag) {
                let mut text = b"ERR Unexpected flag in script shebang: ".to_vec();
                text.extend_from_slice(flag);
                return Err(ScriptError(text));
            }
        }
    }
    Ok((flags, body.to_vec()))
}

impl ScriptFlags {
    /// Sets the flag of this name; false if there is none.
    pub(crate) fn set(&mut self, name: &[u8]) -> bool {
        let flag = match name {
            b"no-writes" => &mut self.no_writes,
            b"allow-oom" => &mut self.allow_oom,
            b"allow-stale" => &mut self.allow_stale,
            b"no-cluster" => &mut self.no_cluster,
            b"allow-cross-slot-keys" => &mut self.allow_cross_slot_keys,
            _ => return false,
        };
        *flag = true;
        true
    }
}
