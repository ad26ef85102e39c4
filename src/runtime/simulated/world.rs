//! The world that simulated cores and clients live in: one clock, one source of chance, the cores'
//! sleep and the connections between clients and cores.
//!
//! A thread has one world, begun by [`begin`] with a seed. All that happens in it follows from the
//! seed: which core has its turn next, how long messages and bytes are under way, where the network
//! splits them. Time passes only when a core reads the clock, and when nobody has anything to do
//! before some later point: then it jumps there.
//!
//! Invariants
//! - Equal seeds and equal callers give equal histories.
//! - The clock never goes back.
//! - Bytes of one direction of a connection arrive in order, all of them or a start of them.
//! - A core that sleeps has a turn again when its own limit is over, when something comes that was
//!   announced to it, or for nothing; a message that nobody announced does not wake it.
//!
//! Not here: what cores and clients do.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;

use base::random::Random;

use crate::faults::Fault;

/// How the machine and the network behave.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Longest usual delay of a message between cores, of bytes, and between turns; nanoseconds.
    pub delay_nanos: u64,
    /// One delay in so many is long; 0 for none.
    pub long_one_in: u64,
    /// Longest long delay; nanoseconds.
    pub long_nanos: u64,
    /// One piece of bytes in so many is split again; 0 for none.
    pub split_one_in: u64,
    /// Bytes that a direction of a connection holds before its sender has to wait.
    pub window_bytes: usize,
}

impl Weather {
    /// Draws a weather: mostly quick, sometimes with long delays or tiny pieces.
    #[must_use]
    pub fn draw(random: &mut Random) -> Self {
        let one_of = |random: &mut Random, choices: &[u64]| choices[random.index(choices.len())];
        let window = one_of(random, &[16, 256, 4096, 65_536, 65_536]);
        Self {
            delay_nanos: one_of(random, &[1_000, 10_000, 50_000, 200_000]),
            long_one_in: one_of(random, &[0, 10, 30, 100]),
            long_nanos: one_of(random, &[100_000, 1_000_000, 5_000_000]),
            split_one_in: one_of(random, &[0, 0, 3, 10]),
            window_bytes: base::cast::usize_from(window),
        }
    }
}

/// A connection between a client and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkId(pub(crate) usize);

/// The sleep of one core.
#[derive(Debug, Default)]
struct CoreSleep {
    /// When its next turn is.
    turn_at: u64,
    /// It sleeps, so a wake-up may bring its turn forward.
    is_asleep: bool,
    /// When something that was announced will be there.
    wakes: Vec<u64>,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    /// Pieces and when they can be read; the times do not decrease.
    pieces: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
    last_at: u64,
    /// When the reader sees that no more comes, and whether that is a failure.
    end: Option<(u64, bool)>,
}

impl Pipe {
    /// When there is something to read next: bytes, or the end.
    pub(crate) fn next_at(&self) -> Option<u64> {
        match self.pieces.front() {
            Some((at, _)) => Some(*at),
            None => self.end.map(|(at, _)| at),
        }
    }
}

/// Where the server's side of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// In the queue of a listener of this core, or in its ring.
    Core(usize),
    /// On its way from core to core.
    Nowhere,
}

#[derive(Debug)]
struct Link {
    address: SocketAddr,
    to_server: Pipe,
    to_client: Pipe,
    home: Home,
    server_closed: bool,
}

#[derive(Debug)]
struct Door {
    address: SocketAddr,
    core: usize,
    listener: u32,
    /// Connections that nobody has accepted, and when they can be.
    waiting: VecDeque<(u64, LinkId)>,
}

#[derive(Debug)]
struct World {
    now: u64,
    random: Random,
    weather: Weather,
    fault: Option<Fault>,
    cores: Vec<CoreSleep>,
    links: Vec<Link>,
    doors: Vec<Door>,
    current: usize,
    /// Connections that have left one core for another.
    moves: usize,
    /// Processes that have ended.
    ended: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let weather = Weather::draw(&mut random);
        Self {
            now: 1,
            random,
            weather,
            fault: None,
            cores: Vec::new(),
            links: Vec::new(),
            doors: Vec::new(),
            current: 0,
            moves: 0,
            ended: 0,
        }
    }

    fn chance(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.random.below(one_in) == 0
    }

    fn delay(&mut self) -> u64 {
        let longest = if self.chance(self.weather.long_one_in) {
            self.weather.long_nanos
        } else {
            self.weather.delay_nanos
        };
        1 + self.random.below(longest)
    }

    fn core(&mut self, core: usize) -> &mut CoreSleep {
        if self.cores.len() <= core {
            self.cores.resize_with(core + 1, CoreSleep::default);
        }
        &mut self.cores[core]
    }

    fn wake(&mut self, core: usize, at: u64) {
        let sleep = self.core(core);
        sleep.wakes.push(at);
        if sleep.is_asleep {
            sleep.turn_at = sleep.turn_at.min(at);
        }
    }

    /// Puts `bytes` under way in a direction of a connection, in pieces.
    fn push(&mut self, link: LinkId, to_server: bool, bytes: &[u8]) {
        let mut rest = bytes;
        let mut first_at = None;
        while !rest.is_empty() {
            let len = if self.chance(self.weather.split_one_in) {
                1 + self.random.index(rest.len())
            } else {
                rest.len()
            };
            let (piece, others) = rest.split_at(len);
            let delay = self.delay();
            let now = self.now;
            let pipe = self.pipe(link, to_server);
            let at = pipe.last_at.max(now + delay);
            pipe.last_at = at;
            pipe.bytes += piece.len();
            pipe.pieces.push_back((at, piece.to_vec()));
            first_at.get_or_insert(at);
            rest = others;
        }
        if to_server && let (Some(at), Home::Core(core)) = (first_at, self.links[link.0].home) {
            self.wake(core, at);
        }
    }

    fn pipe(&mut self, link: LinkId, to_server: bool) -> &mut Pipe {
        let link = &mut self.links[link.0];
        if to_server {
            &mut link.to_server
        } else {
            &mut link.to_client
        }
    }

    /// Takes what can be read, `bytes_max` bytes of one piece at most.
    fn pull(&mut self, link: LinkId, to_server: bool, bytes_max: usize) -> Option<Vec<u8>> {
        let now = self.now;
        let pipe = self.pipe(link, to_server);
        let (at, piece) = pipe.pieces.front_mut()?;
        if *at > now {
            return None;
        }
        let taken: Vec<u8> = piece.drain(..piece.len().min(bytes_max)).collect();
        if piece.is_empty() {
            pipe.pieces.pop_front();
        }
        pipe.bytes -= taken.len();
        Some(taken)
    }

    /// Ends a direction behind what is under way, or with `cut` in the midst of it.
    fn end(&mut self, link: LinkId, to_server: bool, cut: bool) {
        let delay = self.delay();
        let kept = if cut { self.random.below(4) } else { u64::MAX };
        let now = self.now;
        let pipe = self.pipe(link, to_server);
        if pipe.end.is_some() {
            return;
        }
        let kept = usize::try_from(kept).unwrap_or(usize::MAX);
        pipe.pieces.truncate(kept);
        pipe.bytes = pipe.pieces.iter().map(|(_, piece)| piece.len()).sum();
        let last = pipe.pieces.back().map_or(now, |(at, _)| *at);
        let at = last.max(now) + delay;
        pipe.end = Some((at, cut));
        let next = pipe.next_at().unwrap_or(at);
        if to_server && let Home::Core(core) = self.links[link.0].home {
            self.wake(core, next);
        }
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new(0));
}

fn with<T>(act: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(act)
}

/// Begins a world: an empty one, in which `seed` decides what happens. Cores and clients of a former
/// one have to be gone.
pub fn begin(seed: u64, fault: Option<Fault>) {
    crate::helper::end_all();
    with(|world| {
        *world = World::new(seed);
        world.fault = fault;
    });
}

/// Returns the point in time, in nanoseconds since the beginning of the world.
#[must_use]
pub fn now() -> u64 {
    with(|world| world.now)
}

/// Lets time pass up to `at`, if that is not over.
pub fn jump_to(at: u64) {
    with(|world| world.now = world.now.max(at));
}

/// Returns how long a message between cores, or a piece of bytes, is under way at most; nanoseconds.
#[must_use]
pub fn longest_delay() -> u64 {
    with(|world| {
        let weather = &world.weather;
        let long = if weather.long_one_in > 0 {
            weather.long_nanos
        } else {
            0
        };
        weather.delay_nanos.max(long)
    })
}

/// Draws 64 bits.
#[must_use]
pub fn draw() -> u64 {
    with(|world| world.random.next_u64())
}

/// What the parts do wrong on purpose.
pub(crate) fn fault() -> Option<Fault> {
    with(|world| world.fault)
}

/// How long something is under way.
pub(crate) fn delay() -> u64 {
    with(World::delay)
}

/// Reads the clock, which takes a moment: so loops that wait for time to pass end.
pub(crate) fn tick() -> u64 {
    with(|world| {
        world.now += TICK_NANOS;
        world.now
    })
}

const TICK_NANOS: u64 = 40;

/// Lets the core that has its turn wait for the machine.
pub(crate) fn pass(nanos: u64) {
    with(|world| world.now += nanos);
}

/// Returns the number of the process.
#[must_use]
pub fn process_id() -> u32 {
    with(|world| FIRST_PROCESS + world.ended)
}

const FIRST_PROCESS: u32 = 100;

/// Ends the process: its connections are cut, and nobody listens any more. Its cores have to be gone, and the disk
/// frozen.
pub fn end_process() {
    with(|world| {
        world.ended += 1;
        world.cores.clear();
        world.doors.clear();
        for link in 0..world.links.len() {
            world.links[link].home = Home::Nowhere;
            world.links[link].server_closed = true;
            world.end(LinkId(link), false, true);
        }
    });
    crate::helper::end_all();
}

// --- the sleep of cores ---

/// Makes a core's next turn come soon.
pub(crate) fn yield_core(core: usize) {
    with(|world| {
        let at = world.now + world.delay() / 8;
        let sleep = world.core(core);
        sleep.is_asleep = false;
        sleep.turn_at = at;
    });
}

/// Lets a core sleep up to `until`, or until what was announced is there.
pub(crate) fn sleep_core(core: usize, until: u64) {
    with(|world| {
        let now = world.now;
        // A wait may end for nothing.
        let until = if world.chance(SPURIOUS_ONE_IN) {
            until.min(now + world.delay())
        } else {
            until
        };
        let sleep = world.core(core);
        sleep.wakes.retain(|at| *at > now);
        let announced = sleep.wakes.iter().copied().min();
        sleep.turn_at = announced.map_or(until, |at| at.min(until)).max(now);
        sleep.is_asleep = true;
    });
}

const SPURIOUS_ONE_IN: u64 = 50;

/// Announces to a core that something is there from `at` on.
pub(crate) fn wake_core(core: usize, at: u64) {
    with(|world| world.wake(core, at));
}

/// Holds the core that has its turn: nobody else waits for it, but its next turn comes late.
pub(crate) fn hold_core(nanos: u64) {
    with(|world| {
        let until = world.now + nanos;
        let current = world.current;
        world.core(current).turn_at = until;
        world.now += nanos;
    });
}

/// When the turn of `core` is.
pub(crate) fn turn_at(core: usize) -> u64 {
    with(|world| world.core(core).turn_at)
}

/// Gives a core its turn.
pub(crate) fn begin_turn(core: usize) {
    with(|world| {
        let sleep = world.core(core);
        sleep.is_asleep = false;
        let at = sleep.turn_at;
        world.now = world.now.max(at);
        world.current = core;
    });
}

/// The core that has its turn.
pub(crate) fn current() -> usize {
    with(|world| world.current)
}

// --- the server's side of connections ---

/// Opens a door: clients that connect to `address` come to this listener of this core, or to another
/// one with the same address.
pub(crate) fn open_door(address: SocketAddr, core: usize, listener: u32) {
    with(|world| {
        world.doors.push(Door {
            address,
            core,
            listener,
            waiting: VecDeque::new(),
        });
    });
}

/// Closes a door, and the connections that nobody has accepted.
pub(crate) fn close_door(core: usize, listener: u32) {
    let closed = with(|world| {
        let is_it = |door: &Door| door.core == core && door.listener == listener;
        let at = world.doors.iter().position(is_it)?;
        Some(world.doors.remove(at))
    });
    for (_, link) in closed.into_iter().flat_map(|door| door.waiting) {
        server_close(link);
    }
}

/// Takes a connection that can be accepted, and its listener.
pub(crate) fn accept(core: usize) -> Option<(u32, LinkId)> {
    with(|world| {
        let now = world.now;
        let is_ready = |door: &&mut Door| {
            door.core == core && door.waiting.front().is_some_and(|(at, _)| *at <= now)
        };
        let door = world.doors.iter_mut().find(is_ready)?;
        let (_, link) = door.waiting.pop_front()?;
        Some((door.listener, link))
    })
}

/// When there is a connection to accept.
pub(crate) fn accept_at(core: usize) -> Option<u64> {
    with(|world| {
        let doors = world.doors.iter().filter(|door| door.core == core);
        doors.filter_map(|door| Some(door.waiting.front()?.0)).min()
    })
}

/// Says which core a connection belongs to; none while it moves.
pub(crate) fn set_home(link: LinkId, core: Option<usize>) {
    with(|world| {
        world.moves += usize::from(core.is_none());
        world.links[link.0].home = core.map_or(Home::Nowhere, Home::Core);
    });
}

/// Returns how often a connection has left one core for another.
#[must_use]
pub fn moves() -> usize {
    with(|world| world.moves)
}

/// When the server can read from a connection next.
pub(crate) fn server_readable_at(link: LinkId) -> Option<u64> {
    with(|world| world.links[link.0].to_server.next_at())
}

/// Reads up to `bytes_max` bytes that have arrived.
pub(crate) fn server_read(link: LinkId, bytes_max: usize) -> Option<Vec<u8>> {
    with(|world| world.pull(link, true, bytes_max))
}

/// Whether the client sends no more and all it sent was read: some; and whether that is a failure.
pub(crate) fn server_sees_end(link: LinkId) -> Option<bool> {
    with(|world| {
        let now = world.now;
        let pipe = &world.links[link.0].to_server;
        let is_read = pipe.pieces.is_empty();
        pipe.end
            .filter(|(at, _)| is_read && *at <= now)
            .map(|(_, is_cut)| is_cut)
    })
}

/// Takes a part of `bytes` for the client, as much as there is room for. Returns how much, or that
/// the client is gone.
pub(crate) fn server_write(link: LinkId, bytes: &[u8]) -> Result<usize, ()> {
    with(|world| {
        let window = world.weather.window_bytes;
        let is_split = world.chance(world.weather.split_one_in);
        let pipe = &world.links[link.0].to_client;
        if pipe.end.is_some() {
            return Err(());
        }
        let room = window.saturating_sub(pipe.bytes).min(bytes.len());
        let len = if is_split && room > 0 {
            1 + world.random.index(room)
        } else {
            room
        };
        world.push(link, false, &bytes[..len]);
        Ok(len)
    })
}

/// Closes the server's side: what it wrote still arrives.
pub(crate) fn server_close(link: LinkId) {
    with(|world| {
        // A world that has ended has no such connection.
        if let Some(it) = world.links.get_mut(link.0)
            && !it.server_closed
        {
            it.server_closed = true;
            it.home = Home::Nowhere;
            world.end(link, false, false);
        }
    });
}

/// Returns the addresses of a connection: the client's and the server's.
pub(crate) fn addresses(link: LinkId) -> (String, String) {
    with(|world| {
        let server = world.links[link.0].address.to_string();
        (format!("127.0.0.1:{}", CLIENT_PORT_MIN + link.0), server)
    })
}

const CLIENT_PORT_MIN: usize = 40_000;

// --- the clients' side of connections ---

/// Connects a client to a server that listens on `address`; none if nobody does.
#[must_use]
pub fn connect(address: SocketAddr) -> Option<LinkId> {
    with(|world| {
        let is_it = |door: &&Door| door.address == address;
        let count = world.doors.iter().filter(is_it).count();
        if count == 0 {
            return None;
        }
        let chosen = world.random.index(count);
        let at = world.now + world.delay();
        let link = LinkId(world.links.len());
        let doors = world.doors.iter_mut();
        let door = doors.filter(|door| door.address == address).nth(chosen)?;
        door.waiting.push_back((at, link));
        let core = door.core;
        world.links.push(Link {
            address,
            to_server: Pipe::default(),
            to_client: Pipe::default(),
            home: Home::Core(core),
            server_closed: false,
        });
        world.wake(core, at);
        Some(link)
    })
}

/// Sends `bytes` to the server.
pub fn client_send(link: LinkId, bytes: &[u8]) {
    with(|world| world.push(link, true, bytes));
}

/// When a client can read next: bytes, or the end.
#[must_use]
pub fn client_readable_at(link: LinkId) -> Option<u64> {
    with(|world| world.links[link.0].to_client.next_at())
}

/// Appends what has arrived to `input`. Returns whether more may come.
pub fn client_receive(link: LinkId, input: &mut Vec<u8>) -> bool {
    with(|world| {
        while let Some(piece) = world.pull(link, false, usize::MAX) {
            input.extend_from_slice(&piece);
        }
        let now = world.now;
        // There is room again for what the server has left to write.
        if let Home::Core(core) = world.links[link.0].home {
            let at = now + world.delay();
            world.wake(core, at);
        }
        let pipe = &world.links[link.0].to_client;
        !(pipe.pieces.is_empty() && pipe.end.is_some_and(|(at, _)| at <= now))
    })
}

/// Closes a client's side in order: what it sent still arrives.
pub fn client_close(link: LinkId) {
    with(|world| {
        world.end(link, true, false);
        world.end(link, false, true);
    });
}

/// Cuts a connection: of what is under way in either direction only a start arrives, perhaps nothing.
pub fn cut(link: LinkId) {
    with(|world| {
        world.end(link, true, true);
        world.end(link, false, true);
    });
}
