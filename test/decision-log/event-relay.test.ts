/** The relay: an event leaves the outbox only when it is durable, and nothing holds up the others for good. */
import { describe, expect, test } from 'vitest';
import { EventRelay, RELAY_CHUNK } from '../../src/decision-log/event-relay.ts';
import { MAX_LEAF_BYTES } from '../../src/decision-log/leaf.ts';
import type { Outbox } from '../../src/decision-log/ports.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { EventEntry, LogEntry } from '../../src/domain/log-entry.ts';
import { MemoryLog } from '../../src/store/memory/log.ts';
import { entryId, eventEntry } from './entries.ts';

class ListOutbox implements Outbox {
  events: EventEntry[] = [];
  failing = false;

  async pending(limit: number) {
    return this.events.slice(0, limit);
  }

  async acknowledge(ids: readonly string[]) {
    if (this.failing) throw new AppError('STORE_UNAVAILABLE', 'refused by the test');
    this.events = this.events.filter(({ id }) => !ids.includes(id));
  }
}

function setUp() {
  const outbox = new ListOutbox();
  const log = new MemoryLog('duramen.test/relay');
  const errors: unknown[] = [];
  const gate = { refusing: false };
  const append = async (entry: LogEntry) => {
    if (gate.refusing) throw new AppError('LOG_UNAVAILABLE', 'refused by the test');
    return log.append(entry);
  };
  let asked = 0;
  const changes = async () => ({ state: (asked += 1), subjects: 7 });
  const relay = new EventRelay(outbox, changes, { append }, error => void errors.push(error));
  const logged = async () =>
    (await log.events({ limit: 1_000, order: 'asc' })).items.map(({ content }) => content['id']);
  return { outbox, log, relay, gate, errors, logged };
}

describe('EventRelay', () => {
  test('moves every event in order, in chunks', async () => {
    const { outbox, relay, logged } = setUp();
    const count = 2 * RELAY_CHUNK + 1;
    outbox.events = Array.from({ length: count }, (_, at) => eventEntry(at));
    await relay.flush();
    expect(await logged()).toEqual(Array.from({ length: count }, (_, at) => entryId(at)));
    expect(outbox.events).toEqual([]);
  });

  test('each event names what the databases have when it is appended', async () => {
    const { outbox, log, relay } = setUp();
    outbox.events.push(eventEntry(1));
    await relay.flush();
    outbox.events.push(eventEntry(2));
    await relay.flush();
    const { items } = await log.events({ limit: 10, order: 'asc' });
    expect(items.map(({ content }) => content['stores'])).toEqual([
      { state: 1, subjects: 7 },
      { state: 2, subjects: 7 },
    ]);
  });

  test('a flush covers what is in the outbox when it is called, also while another flush runs', async () => {
    const { outbox, relay, logged } = setUp();
    outbox.events.push(eventEntry(1));
    const first = relay.flush();
    outbox.events.push(eventEntry(2));
    await relay.flush();
    expect(await logged()).toEqual([entryId(1), entryId(2)]);
    await first;
  });

  test('an event that the log refuses stays in the outbox, and flush says so', async () => {
    const { outbox, relay, gate, logged } = setUp();
    outbox.events.push(eventEntry(1));
    gate.refusing = true;
    await expect(relay.flush()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
    expect(outbox.events).toHaveLength(1);
    gate.refusing = false;
    await relay.flush();
    expect(await logged()).toEqual([entryId(1)]);
    expect(outbox.events).toEqual([]);
    await relay.close();
  });

  test('start reports a failure and does not fail', async () => {
    const { outbox, relay, gate, errors } = setUp();
    outbox.events.push(eventEntry(1));
    gate.refusing = true;
    await relay.start();
    expect(errors).toHaveLength(1);
    await relay.close();
  });

  test('an event whose acknowledgement failed is appended again, and read once', async () => {
    const { outbox, log, relay, logged } = setUp();
    outbox.events.push(eventEntry(1));
    outbox.failing = true;
    await expect(relay.flush()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    outbox.failing = false;
    await relay.flush();
    expect(log.size).toBe(2);
    expect(await logged()).toEqual([entryId(1)]);
    await relay.close();
  });

  test('an event that is too large for a leaf is logged without its details', async () => {
    const { outbox, log, relay } = setUp();
    outbox.events = [eventEntry(1, { details: { text: 'x'.repeat(MAX_LEAF_BYTES) } }), eventEntry(2)];
    await relay.flush();
    const { items } = await log.events({ limit: 10, order: 'asc' });
    expect(items.map(({ content }) => content['id'])).toEqual([entryId(1), entryId(2)]);
    expect(items[0]?.content['details']).toHaveProperty('omitted');
  });
});
