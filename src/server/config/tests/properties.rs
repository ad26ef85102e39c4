//! Random files: reading never panics, and rewriting loses nothing.
//!
//! Each test prints its seed; `SEED=n` repeats a run.

use base::random::Random;

use super::*;

const WORDS: &[&str] = &[
    "yes",
    "no",
    "0",
    "1",
    "5",
    "-1",
    "100",
    "65536",
    "1gb",
    "1kb",
    "50%",
    "auto",
    "normal",
    "slave",
    "pubsub",
    "\"\"",
    "\"a b\"",
    "'x",
    "\"\\x4",
    "\\",
    "*",
    "::1",
    "-127.0.0.1",
    "local",
    "json",
    "debug",
    "99999999999999999999",
    "é",
    "[",
    "]",
    "=",
    "{",
    "#",
    "\n",
    "1.5",
    "true",
    "0o7",
];

fn random() -> Random {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(7);
    println!("SEED={seed}");
    Random::new(seed)
}

fn random_word(random: &mut Random) -> &'static str {
    WORDS[random.index(WORDS.len())]
}

/// One file in memory, whose text is made at random.
struct OneFile(String);

impl Files for OneFile {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.clone())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// Loads `text`; if it is valid, changes a value, rewrites, and loads what was written.
fn check(name: &str, text: String, random: &mut Random) -> bool {
    let args = [name.to_owned()];
    let files = OneFile(text);
    let Ok(mut loaded) = Config::load(&args, &[], &files) else {
        return false;
    };
    for _ in 0..4 {
        let directive = all().nth(random.index(all().count())).unwrap();
        // Most of these are refused, which must change nothing.
        let before = loaded.config.get(&["*"]);
        if loaded
            .config
            .set(&[(directive.name, random_word(random))])
            .is_err()
        {
            assert_eq!(loaded.config.get(&["*"]), before);
        }
    }
    let written = loaded.config.rewrite(&files).unwrap();
    let again = match Config::load(&args, &[], &OneFile(written.text.clone())) {
        Ok(again) => again.config,
        Err(error) => panic!("{error}\nbefore:\n{}\nafter:\n{}", files.0, written.text),
    };
    assert_eq!(
        again.settings(),
        loaded.config.settings(),
        "{}\n->\n{}",
        files.0,
        written.text
    );
    assert_eq!(again.get(&["*"]), loaded.config.get(&["*"]));
    let twice = again.rewrite(&OneFile(written.text.clone())).unwrap();
    assert_eq!(
        twice.text, written.text,
        "rewriting twice changes the file again"
    );
    true
}

#[test]
fn random_redis_conf_never_panics_and_survives_rewriting() {
    let mut random = random();
    let mut valid = 0;
    for _ in 0..600 {
        let mut text = String::new();
        for _ in 0..random.below(4) {
            let directive = all().nth(random.index(all().count())).unwrap();
            let default = match random.below(2) {
                0 => redis_conf::written_lines(directive, &directive.default_value()).join("\n"),
                _ => format!("{} {}", directive.name, random_word(&mut random)),
            };
            text.push_str(&default);
            for _ in 0..random.below(3) / 2 {
                text.push_str(&format!(" {}", random_word(&mut random)));
            }
            text.push('\n');
        }
        valid += u32::from(check("r.conf", text, &mut random));
    }
    assert!(valid > 50, "only {valid} files were valid");
}

#[test]
fn random_toml_never_panics_and_survives_rewriting() {
    let mut random = random();
    let mut valid = 0;
    for _ in 0..600 {
        let mut text = String::new();
        for _ in 0..random.below(4) {
            let directive = all().nth(random.index(all().count())).unwrap();
            let value = match random.below(3) {
                0 => toml::item_of(&directive.default_value()).to_string(),
                1 => format!("{:?}", random_word(&mut random)),
                _ => random_word(&mut random).to_owned(),
            };
            text.push_str(&format!("{} = {value}\n", directive.toml_path()));
        }
        valid += u32::from(check("t.toml", text, &mut random));
    }
    assert!(valid > 50, "only {valid} files were valid");
}
