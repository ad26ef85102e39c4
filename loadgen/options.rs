//! The command line: the options of redis-benchmark, and ours.
//!
//! Invariants
//! - An option that other tools have and this one does not is refused by name, never ignored.
//! - The first word that is not an option begins the custom command; what follows belongs to it.
//!
//! Not here: what the options lead to (`workload`, `run`, `report`).

use std::path::PathBuf;
use std::time::Duration;

/// Most connections in all.
const CLIENTS_MAX: u64 = 100_000;
/// Most client threads.
const THREADS_MAX: u64 = 500;
/// Most requests in one batch.
const PIPELINE_MAX: u64 = 1_000_000;
/// Longest value, in bytes.
const DATA_BYTES_MAX: i64 = 1 << 30;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Put load on a server.
    Run(Box<Options>),
    /// Print the usage and end.
    Help,
    /// Print the version and end.
    Version,
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// Path of a socket.
    Unix(PathBuf),
}

/// How much text goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// The whole report.
    Full,
    /// One line for each test.
    Quiet,
    /// One row for each test.
    Csv,
    /// Nothing: the JSON document goes there.
    JsonOnly,
}

/// When a test ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// After this many requests.
    Requests(u64),
    /// After this time.
    Time(Duration),
}

/// Everything that the command line settles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Where to connect.
    pub(crate) target: Target,
    /// Password for AUTH.
    pub(crate) password: Option<String>,
    /// User for AUTH; without effect if there is no password.
    pub(crate) user: Option<String>,
    /// Connections over all threads, at least 1.
    pub(crate) clients: usize,
    /// When a test ends.
    pub(crate) extent: Extent,
    /// Time before the measured window.
    pub(crate) warmup: Duration,
    /// Length of a value, at least 1.
    pub(crate) data_bytes: usize,
    /// Database to select.
    pub(crate) database: u32,
    /// Speak RESP3.
    pub(crate) resp3: bool,
    /// Client threads asked for; 0 means one and the report says "multi-thread: no".
    pub(crate) threads: usize,
    /// Spread over the nodes of a cluster.
    pub(crate) cluster: bool,
    /// Turn client tracking on.
    pub(crate) enable_tracking: bool,
    /// One connection for all batches; otherwise a new one for each.
    pub(crate) keep_alive: bool,
    /// Range of the random numbers, if they are wanted.
    pub(crate) keyspace: Option<u64>,
    /// What the number of a request is above that of the one before, if requests are numbered.
    pub(crate) count_by: Option<u64>,
    /// Requests in a batch, at least 1.
    pub(crate) pipeline: usize,
    /// Form of the report.
    pub(crate) output: Output,
    /// Repeat for ever.
    pub(crate) repeat: bool,
    /// Names of `-t` in lower case; all tests if absent.
    pub(crate) tests: Option<Vec<String>>,
    /// The custom command; empty if named tests are to run.
    pub(crate) command: Vec<Vec<u8>>,
    /// The last word of the command comes from standard input.
    pub(crate) last_word_from_stdin: bool,
    /// Significant figures of the histogram, 0 to 4.
    pub(crate) precision: u8,
    /// Seed of the random numbers; from the clock if absent.
    pub(crate) seed: Option<u32>,
    /// Round, measure and print as redis-benchmark does.
    pub(crate) compat: bool,
    /// File of the JSON document; `-` is standard output.
    pub(crate) json: Option<PathBuf>,
    /// Processes whose CPU time is reported.
    pub(crate) server_pids: Vec<u32>,
    /// Print progress even if standard output is no terminal.
    pub(crate) progress: bool,
    /// Leave out the CONFIG GET before the load.
    pub(crate) no_config_get: bool,
    /// Things to say on standard error before the start.
    pub(crate) warnings: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: Target::Tcp("127.0.0.1".to_owned(), 6379),
            password: None,
            user: None,
            clients: 50,
            extent: Extent::Requests(100_000),
            warmup: Duration::ZERO,
            data_bytes: 3,
            database: 0,
            resp3: false,
            threads: 0,
            cluster: false,
            enable_tracking: false,
            keep_alive: true,
            keyspace: None,
            count_by: None,
            pipeline: 1,
            output: Output::Full,
            repeat: false,
            tests: None,
            command: Vec::new(),
            last_word_from_stdin: false,
            precision: 3,
            seed: None,
            compat: false,
            json: None,
            server_pids: Vec::new(),
            progress: false,
            no_config_get: false,
            warnings: Vec::new(),
        }
    }
}

/// Options of redis-benchmark and its relatives that are known and not available.
const UNAVAILABLE: &[&str] = &[
    "-I",
    "--tls",
    "--sni",
    "--cacert",
    "--cacertdir",
    "--insecure",
    "--cert",
    "--key",
    "--tls-ciphers",
    "--tls-ciphersuites",
    "--rps",
    "--rfr",
    "--sequential",
    "--dataset",
    "--maxdocs",
    "--mptcp",
    "--rdma",
    "--num-functions",
    "--num-keys-in-fcall",
    "--arrival",
    "--key-dist",
    "--mix",
    "--ratio",
    "--ycsb",
    "--workload",
    "--replay",
    "--verify",
    "--verify-final",
    "--load",
    "--hgrm",
    "--hlog",
    "--timeline",
    "--csv-ext",
    "--pin",
    "--repeat",
    "--vs",
];

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// Unknown option, or its argument is missing: the usage is printed.
    Invalid(String),
    /// A sentence to print.
    Refused(String),
}

/// Reads the words of a command line, without the program's name.
///
/// # Errors
///
/// [`UsageError`]; nothing has been started.
pub(crate) fn parse(words: &[Vec<u8>]) -> Result<Parsed, UsageError> {
    let mut parser = Parser {
        words,
        position: 0,
        options: Options::default(),
        has_count: false,
        has_duration: false,
    };
    while let Some(word) = parser.words.get(parser.position) {
        if word == b"--" {
            parser.position += 1;
            break;
        }
        if !word.starts_with(b"-") {
            break;
        }
        parser.position += 1;
        match word.as_slice() {
            b"--help" => return Ok(Parsed::Help),
            b"-v" | b"--version" => return Ok(Parsed::Version),
            _ => {}
        }
        let name = text_of(word)?;
        if !parser.flag(&name) && !parser.connection_option(&name)? && !parser.load_option(&name)? {
            return Err(if UNAVAILABLE.contains(&name.as_str()) {
                UsageError::Refused(format!("The option {name} is not available"))
            } else {
                UsageError::Invalid(name)
            });
        }
    }
    parser.options.command = words[parser.position..].to_vec();
    parser.finish()
}

/// Reads one command line.
struct Parser<'w> {
    words: &'w [Vec<u8>],
    position: usize,
    options: Options,
    /// Whether `-n` was given.
    has_count: bool,
    /// Whether `--duration` was given.
    has_duration: bool,
}

impl Parser<'_> {
    /// Takes options without an argument. Returns whether `name` is one.
    fn flag(&mut self, name: &str) -> bool {
        let options = &mut self.options;
        match name {
            "-3" => options.resp3 = true,
            "-q" => options.output = Output::Quiet,
            "-l" => options.repeat = true,
            "-x" => options.last_word_from_stdin = true,
            "-e" => options.warnings.push(
                "WARNING: -e option has no effect. The first error of the server ends the run."
                    .to_owned(),
            ),
            "--csv" => options.output = Output::Csv,
            "--cluster" => options.cluster = true,
            "--enable-tracking" => options.enable_tracking = true,
            "--compat" => options.compat = true,
            "--progress" => options.progress = true,
            "--no-config-get" => options.no_config_get = true,
            _ => return false,
        }
        true
    }

    /// Takes options that say where and as whom to connect. Returns whether `name` is one.
    fn connection_option(&mut self, name: &str) -> Result<bool, UsageError> {
        match name {
            "-h" => {
                let host = self.text(name)?;
                self.set_host(host);
            }
            "-p" => {
                let port = self.port(name)?;
                self.set_port(port);
            }
            "-s" => self.options.target = Target::Unix(PathBuf::from(self.text(name)?)),
            "-a" => self.options.password = Some(self.text(name)?),
            "--user" => self.options.user = Some(self.text(name)?),
            "-u" => {
                let uri = self.text(name)?;
                self.set_uri(&uri)?;
            }
            "--dbnum" => {
                let number = self.number(name, 0, i64::from(i32::MAX))?;
                self.options.database = u32::try_from(number).unwrap_or(0);
            }
            "-c" => self.options.clients = self.count(name, 1, CLIENTS_MAX)?,
            "--threads" => self.options.threads = self.count(name, 0, THREADS_MAX)?,
            "-k" => self.options.keep_alive = self.number(name, i64::MIN, i64::MAX)? != 0,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes options that say what to send and what to print. Returns whether `name` is one.
    fn load_option(&mut self, name: &str) -> Result<bool, UsageError> {
        match name {
            "-n" => {
                let requests = self.number(name, 1, i64::MAX)?;
                self.options.extent = Extent::Requests(requests.unsigned_abs());
                self.has_count = true;
            }
            "-d" => {
                let bytes = self
                    .number(name, i64::MIN, i64::MAX)?
                    .clamp(1, DATA_BYTES_MAX);
                self.options.data_bytes = usize::try_from(bytes).unwrap_or(1);
            }
            "-r" => {
                let keyspace = self.number(name, i64::MIN, i64::MAX)?.max(0);
                self.options.keyspace = Some(keyspace.unsigned_abs());
            }
            "--count-by" => {
                let step = self.number(name, 1, i64::MAX)?;
                self.options.count_by = Some(step.unsigned_abs());
            }
            "-P" => self.options.pipeline = self.count(name, 1, PIPELINE_MAX)?,
            "-t" => {
                let list = self.text(name)?.to_lowercase();
                let names = list.split(',').map(|name| name.trim().to_owned());
                self.options.tests = Some(names.filter(|name| !name.is_empty()).collect());
            }
            "--precision" => {
                let figures = self.number(name, 0, 4)?;
                self.options.precision = u8::try_from(figures).unwrap_or(3);
            }
            "--seed" => {
                // The C library takes the low 32 bits.
                let seed = self.number(name, i64::MIN, i64::MAX)?.rem_euclid(1 << 32);
                self.options.seed = u32::try_from(seed).ok();
            }
            "--duration" => {
                self.options.extent = Extent::Time(self.seconds(name)?);
                self.has_duration = true;
            }
            "--warmup" => self.options.warmup = self.seconds(name)?,
            "--json" => self.options.json = Some(PathBuf::from(self.text(name)?)),
            "--server-pid" => {
                let list = self.text(name)?;
                let pids: Result<Vec<u32>, _> = list.split(',').map(str::parse).collect();
                self.options.server_pids = pids.map_err(|_not_a_number| refused(name, &list))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Checks what only the whole line shows.
    fn finish(mut self) -> Result<Parsed, UsageError> {
        let has_command = !self.options.command.is_empty();
        if has_command && self.options.tests.is_some() {
            self.options.tests = None;
            self.options
                .warnings
                .push("WARNING: Option -t is ignored.".to_owned());
        }
        if self.options.last_word_from_stdin && !has_command {
            return Err(UsageError::Refused(
                "The option -x needs a command".to_owned(),
            ));
        }
        if self.has_count && self.has_duration {
            return Err(UsageError::Refused(
                "The options -n and --duration exclude each other".to_owned(),
            ));
        }
        if let Some(names) = &self.options.tests {
            let unknown = crate::named_tests::unknown_tests(names).map_err(UsageError::Refused)?;
            if !self.options.compat {
                self.options.warnings.extend(
                    unknown
                        .iter()
                        .map(|name| format!("WARNING: No test is named \"{name}\".")),
                );
            }
        }
        if self.options.repeat && self.options.json.is_some() {
            return Err(UsageError::Refused(
                "The options -l and --json exclude each other".to_owned(),
            ));
        }
        if self
            .options
            .json
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-")
        {
            self.options.output = Output::JsonOnly;
        }
        if self.options.password.is_some() {
            self.options.warnings.push(
                "WARNING: A password on the command line can be seen by other users.".to_owned(),
            );
        }
        if !self.options.keep_alive {
            self.options.warnings.push(
                "WARNING: Every batch opens a connection. If ports run out, set \
                 net.ipv4.tcp_tw_reuse to 1."
                    .to_owned(),
            );
        }
        Ok(Parsed::Run(Box::new(self.options)))
    }

    /// Returns the argument of option `name`.
    fn text(&mut self, name: &str) -> Result<String, UsageError> {
        let Some(word) = self.words.get(self.position) else {
            return Err(UsageError::Invalid(name.to_owned()));
        };
        self.position += 1;
        text_of(word)
    }

    /// Returns the argument of option `name` as a number between `least` and `most`.
    fn number(&mut self, name: &str, least: i64, most: i64) -> Result<i64, UsageError> {
        let text = self.text(name)?;
        match text.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(refused(name, &text)),
        }
    }

    /// As [`Self::number`], for counts.
    fn count(&mut self, name: &str, least: u32, most: u64) -> Result<usize, UsageError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let number = self.number(name, i64::from(least), most)?;
        Ok(base::cast::usize_from(number.unsigned_abs()))
    }

    fn port(&mut self, name: &str) -> Result<u16, UsageError> {
        let text = self.text(name)?;
        text.parse()
            .map_err(|_out_of_range| UsageError::Refused("Invalid server port.".to_owned()))
    }

    /// Returns the argument of option `name` as a time above zero.
    fn seconds(&mut self, name: &str) -> Result<Duration, UsageError> {
        let text = self.text(name)?;
        let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| refused(name, &text))
    }

    /// A socket wins over host and port, wherever it stands.
    fn set_host(&mut self, host: String) {
        if let Target::Tcp(present, _) = &mut self.options.target {
            *present = host;
        }
    }

    fn set_port(&mut self, port: u16) {
        if let Target::Tcp(_, present) = &mut self.options.target {
            *present = port;
        }
    }

    /// Takes `redis://[[user]:password@]host[:port][/database]`.
    fn set_uri(&mut self, uri: &str) -> Result<(), UsageError> {
        let Some(rest) = uri.strip_prefix("redis://") else {
            return Err(UsageError::Refused(format!(
                "Only redis:// addresses are available, not \"{uri}\""
            )));
        };
        let (rest, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, rest),
        };
        if let Some(login) = login {
            let (user, password) = login.split_once(':').unwrap_or(("", login));
            self.options.user = (!user.is_empty()).then(|| user.to_owned());
            self.options.password = Some(password.to_owned());
        }
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        if !host.is_empty() {
            self.set_host(host.to_owned());
        }
        if !port.is_empty() {
            let port = port.parse().map_err(|_out_of_range| refused("-u", uri))?;
            self.set_port(port);
        }
        if !database.is_empty() {
            self.options.database = database
                .parse()
                .map_err(|_not_a_number| refused("-u", uri))?;
        }
        Ok(())
    }
}

fn refused(name: &str, text: &str) -> UsageError {
    UsageError::Refused(format!("The option {name} does not accept \"{text}\""))
}

fn text_of(word: &[u8]) -> Result<String, UsageError> {
    String::from_utf8(word.to_vec())
        .map_err(|_not_utf8| UsageError::Invalid(String::from_utf8_lossy(word).into_owned()))
}

/// The usage text.
pub(crate) const USAGE: &str = "\
Usage: loadgen [OPTIONS] [--] [COMMAND WORDS...]

Server
 -h <host>          Name or address (default 127.0.0.1)
 -p <port>          Port (default 6379)
 -s <socket>        Unix socket, instead of host and port
 -a <password>      Password for AUTH
 --user <name>      User for AUTH, with -a
 -u <uri>           redis://[[user]:password@]host[:port][/database]
 --dbnum <number>   Database to select (default 0)
 -3                 Speak RESP3
 --enable-tracking  Send CLIENT TRACKING on before the load
 --cluster          Spread over the primaries of a cluster; the keys of a
                    custom command must contain {tag}
 --no-config-get    Leave out the CONFIG GET before the load

Load
 -c <clients>       Connections (default 50)
 --threads <n>      Client threads (default: one)
 -n <requests>      Requests of each test (default 100000)
 --duration <s>     Seconds of each test, instead of -n
 --warmup <s>       Seconds of load before the measured window
 -P <requests>      Requests sent in one write (default 1)
 -d <bytes>         Size of values (default 3)
 -r <n>             Replace __rand_int__ by 12 digits below n, drawn anew each
                    time; without -r it is sent as it stands
 --seed <n>         Start of the random numbers: those of glibc's random()
 --count-by <n>     Replace each run of # by the last digits of a number that is
                    0 in the first request, and n more in each that follows
 -k <0|1>           0 opens a connection for each write (default 1)
 -l                 Repeat for ever
 -t <tests>         Names, separated by commas (default: all): ping,
                    ping_inline, ping_mbulk, set, get, incr, lpush, rpush, lpop,
                    rpop, sadd, hset, spop, zadd, zpopmin, lrange, lrange_100,
                    lrange_300, lrange_500, lrange_600, mset, mget, xadd
 -x                 Read the last word of the command from standard input

Report
 -q                 One line for each test
 --csv              Comma-separated values
 --json <file|->    Write a JSON document too; with - nothing else is printed
 --precision <n>    Significant figures of latencies, 0 to 4 (default 3)
 --server-pid <p>   Report the CPU time that these processes (numbers, separated
                    by commas) use in the measured window
 --progress         Show progress even if standard output is no terminal
 --compat           Round -n up to whole batches, take the first byte of a batch
                    as the answer to all of it, and print nothing more than
                    redis-benchmark prints
 -e                 Without effect
 --help, --version
";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Parsed, UsageError> {
        let words: Vec<Vec<u8>> = line
            .split_whitespace()
            .map(|word| word.as_bytes().to_vec())
            .collect();
        parse(&words)
    }

    #[track_caller]
    fn options(line: &str) -> Options {
        match read(line) {
            Ok(Parsed::Run(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn empty_line_gives_the_defaults() {
        assert_eq!(options(""), Options::default());
    }

    #[test]
    fn every_option_of_redis_benchmark_is_taken() {
        let read = options(
            "-h example -p 7000 -a secret --user me -c 10 -n 50 -d 100 -P 16 -r 1000 -t SET,get \
             -q -l -k 0 -e --threads 4 --seed 9 --dbnum 2 -3 --cluster --precision 2",
        );
        assert_eq!(read.target, Target::Tcp("example".to_owned(), 7000));
        assert_eq!(
            (read.password.as_deref(), read.user.as_deref()),
            (Some("secret"), Some("me"))
        );
        assert_eq!(
            (read.clients, read.pipeline, read.data_bytes),
            (10, 16, 100)
        );
        assert_eq!(
            (read.extent, read.keyspace),
            (Extent::Requests(50), Some(1000))
        );
        assert_eq!(read.tests, Some(vec!["set".to_owned(), "get".to_owned()]));
        assert_eq!(
            (read.threads, read.seed, read.database, read.precision),
            (4, Some(9), 2, 2)
        );
        assert!(read.repeat && read.resp3 && read.cluster && !read.keep_alive);
        assert_eq!(read.output, Output::Quiet);
    }

    #[test]
    fn command_begins_at_the_first_plain_word() {
        let read = options("-n 5 set -n 7");
        assert_eq!(
            read.command,
            [b"set".to_vec(), b"-n".to_vec(), b"7".to_vec()]
        );
        assert_eq!(read.extent, Extent::Requests(5));
        assert_eq!(options("-- -weird").command, [b"-weird".to_vec()]);
    }

    #[test]
    fn tests_are_ignored_aloud_when_there_is_a_command() {
        let read = options("-t set get x");
        assert_eq!(read.tests, None);
        assert_eq!(read.warnings, ["WARNING: Option -t is ignored."]);
    }

    #[test]
    fn unknown_option_and_missing_argument_are_invalid() {
        assert_eq!(
            read("--bogus"),
            Err(UsageError::Invalid("--bogus".to_owned()))
        );
        assert_eq!(read("-n"), Err(UsageError::Invalid("-n".to_owned())));
    }

    #[test]
    fn options_that_are_not_built_are_refused_by_name() {
        for name in UNAVAILABLE {
            assert_eq!(
                read(name),
                Err(UsageError::Refused(format!(
                    "The option {name} is not available"
                )))
            );
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for line in [
            "-c 0",
            "-c x",
            "-P 0",
            "-n 0",
            "--threads 501",
            "--precision 5",
            "-p 70000",
            "--duration 0",
            "--duration -1",
            "--warmup nan",
            "--duration 1 -n 5",
            "-x",
            "-l --json -",
            "-t fcall",
            "--server-pid 1,x",
        ] {
            assert!(matches!(read(line), Err(UsageError::Refused(_))), "{line}");
        }
    }

    #[test]
    fn size_and_keyspace_are_clamped_as_redis_benchmark_does() {
        assert_eq!(options("-d 0").data_bytes, 1);
        assert_eq!(options("-d 9999999999").data_bytes, 1 << 30);
        assert_eq!(options("-r -5").keyspace, Some(0));
    }

    #[test]
    fn socket_wins_over_host_and_port() {
        assert_eq!(
            options("-s a.sock -h b -p 1").target,
            Target::Unix("a.sock".into())
        );
    }

    #[test]
    fn address_is_taken_apart() {
        let read = options("-u redis://me:pw@example:7001/3");
        assert_eq!(read.target, Target::Tcp("example".to_owned(), 7001));
        assert_eq!(
            (read.user.as_deref(), read.password.as_deref()),
            (Some("me"), Some("pw"))
        );
        assert_eq!(read.database, 3);
        assert!(matches!(
            self::read("-u rediss://x"),
            Err(UsageError::Refused(_))
        ));
    }

    #[test]
    fn json_on_standard_output_stands_alone() {
        assert_eq!(options("--json - -q").output, Output::JsonOnly);
        assert_eq!(options("--json out.json --csv").output, Output::Csv);
    }
}
