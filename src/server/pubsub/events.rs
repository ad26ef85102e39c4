//! What happens to keys, told to those who listen to the channels of events.

use shard::effects::KeyEvent;

use super::message::Message;
use super::wishes::{Publisher, Wish};
use crate::engine::Engine;

impl Engine {
    /// Notes the events of this core's keys among what is to be published, behind what is there.
    #[inline]
    pub(crate) fn collect_events(&mut self) {
        if self.host.shard.has_events() {
            self.note_events();
        }
    }

    #[cold]
    fn note_events(&mut self) {
        let events = self.host.shard.take_events();
        if !self.shared.presence.is_anyone_listening() {
            return;
        }
        let notify = self.config.settings().notify;
        for event in events {
            if notify.by_key {
                let channel = channel_of("keyspace", &event, &event.key);
                self.note_event(&channel, event.name.as_bytes());
            }
            if notify.by_event {
                let channel = channel_of("keyevent", &event, event.name.as_bytes());
                self.note_event(&channel, &event.key);
            }
        }
    }

    fn note_event(&mut self, channel: &[u8], payload: &[u8]) {
        let message = Message::new(false, channel, payload);
        self.pubsub
            .wishes
            .push(Wish::Publish(Publisher::NOBODY, message));
    }
}

/// Returns the name of a channel of events: `__keyspace@0__:key`.
fn channel_of(kind: &str, event: &KeyEvent, rest: &[u8]) -> Vec<u8> {
    let mut channel = format!("__{kind}@{}__:", event.db.0).into_bytes();
    channel.extend_from_slice(rest);
    channel
}
