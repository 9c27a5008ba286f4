/** The client of witnesses against a witness that keeps to the specification, and against some that do not. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AnchorConflict } from '../../../src/decision-log/anchor.ts';
import { cosignatureVerifier } from '../../../src/decision-log/cosignature.ts';
import { openNote } from '../../../src/decision-log/signed-note.ts';
import { WitnessAnchor } from '../../../src/store/anchors/witness-anchor.ts';
import { GrowingLog } from '../../decision-log/growing-log.ts';
import { type Fault, Witness } from './witness.ts';

let witness: Witness;
let log: GrowingLog;
beforeEach(async () => {
  log = new GrowingLog().grow(3);
  witness = (await Witness.start()).knows(log);
});
afterEach(() => witness.close());

function anchorOf(of: GrowingLog, url = witness.url): WitnessAnchor {
  return new WitnessAnchor({
    name: 'witness:w1',
    url,
    verifier: cosignatureVerifier(witness.verifierKey),
    prove: of.consistencyProof,
  });
}

async function publish(anchor: WitnessAnchor, of: GrowingLog): Promise<readonly string[]> {
  return anchor.publish(await of.signCheckpoint(), AbortSignal.timeout(10_000));
}

async function failure(attempt: Promise<unknown>): Promise<Error> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Error) return error;
  throw new Error('the attempt did not fail');
}

const statuses = () => witness.requests.map(({ status }) => status);

describe('a checkpoint at a witness', () => {
  test('comes back cosigned, and the cosignature stands under the note of the log', async () => {
    const lines = await publish(anchorOf(log), log);
    const { note } = await log.signCheckpoint();
    const cosigned = openNote(`${note}${lines.join('\n')}\n`, [cosignatureVerifier(witness.verifierKey)]);
    expect(cosigned.signatures).toMatchObject([{ name: 'witness.example/w1' }]);
    expect(witness.seen.get(log.origin)?.size).toBe(3);
  });

  test('continues the one before with a consistency proof, at every size', async () => {
    const anchor = anchorOf(log);
    for (let size = 3; size < 40; size++) {
      await publish(anchor, log);
      log.grow(1 + (size % 5));
    }
    expect(new Set(statuses())).toEqual(new Set([200]));
    expect(witness.requests.slice(1).every(({ proof }) => proof > 0)).toBe(true);
  });

  test('of the same size is cosigned anew, without a proof', async () => {
    const anchor = anchorOf(log);
    await publish(anchor, log);
    await publish(anchor, log);
    expect(witness.requests).toMatchObject([{ status: 200 }, { old: 3, proof: 0, status: 200 }]);
  });

  test('after a restart starts from the size that the witness tells', async () => {
    await publish(anchorOf(log), log);
    log.grow(10);
    await publish(anchorOf(log), log);
    expect(witness.requests.slice(1)).toMatchObject([
      { old: 0, status: 409 },
      { old: 3, size: 13, status: 200 },
    ]);
  });

  test('goes to a witness that forgot everything', async () => {
    const anchor = anchorOf(log);
    await publish(anchor, log);
    witness.seen.clear();
    await publish(anchor, log.grow(2));
    expect(statuses()).toEqual([200, 409, 200]);
  });
});

describe('a log that went back in time', () => {
  test.each<[name: string, later: (former: GrowingLog) => GrowingLog, says: RegExp, held: number]>([
    ['has fewer entries', former => former.copy(2), /cosigned a checkpoint of 3 entries, the log has 2/, 3],
    [
      'has other entries, as many',
      former => former.copy(1).grow(2, 'other'),
      /another history of 3 entries/,
      3,
    ],
    [
      'has other entries, more',
      former => former.copy(1).grow(9, 'other'),
      /does not find its checkpoint of 3/,
      3,
    ],
  ])('%s', async (_name, later, says, held) => {
    await publish(anchorOf(log), log);
    const fork = later(log);
    const error = await failure(publish(anchorOf(fork), fork));
    expect(error).toBeInstanceOf(AnchorConflict);
    expect(error.message).toMatch(says);
    expect(error).toMatchObject({ target: 'witness:w1', heldSize: held });
    expect(witness.seen.get(log.origin)?.size).toBe(3);
  });

  test('is noticed by an anchor that published before, too', async () => {
    const fork = log.copy();
    const anchor = anchorOf(fork);
    await publish(anchor, fork);
    await publish(anchorOf(log), log.grow(5));
    const error = await failure(publish(anchor, fork.grow(1, 'other')));
    expect(error).toMatchObject({ name: 'AnchorConflict', heldSize: 8 });
  });
});

describe('a refusal that is no conflict', () => {
  test('a log that the witness does not know', async () => {
    witness.logs.clear();
    expect((await failure(publish(anchorOf(log), log))).message).toMatch(
      /does not know .*give its operator the key/,
    );
  });

  test('a log whose key the witness does not know', async () => {
    witness.logs.set(log.origin, new GrowingLog(log.origin, [], 2).verifierKey);
    expect((await failure(publish(anchorOf(log), log))).message).toMatch(/has another key/);
  });

  const answer =
    (status: number, body: string, headers: Record<string, string> = {}): Fault =>
    (_, response) =>
      response.writeHead(status, headers).end(body);
  test.each<[name: string, fault: Fault, says: RegExp]>([
    ['a server error', answer(500, 'oh'), /answered 500/],
    [
      'a redirect, which is not followed',
      answer(307, '', { location: 'http://127.0.0.1:1/' }),
      /answered 307/,
    ],
    ['a conflict without a size', answer(409, '7\n'), /409 without the size/],
    [
      'a conflict with a size that is none',
      answer(409, '-7\n', { 'content-type': 'text/x.tlog.size' }),
      /without/,
    ],
    [
      'a conflict about what was said',
      answer(409, '0\n', { 'content-type': 'text/x.tlog.size' }),
      /409 and has 0/,
    ],
    ['a first checkpoint that it does not accept', answer(422, ''), /422 to a request without a proof/],
    ['a success without a signature', answer(200, ''), /malformed/],
    ['a success with something else', answer(200, 'thanks\n'), /malformed/],
    ['an answer without end', (_, response) => endless(response), /more than 16384 bytes/],
    ['a connection that is cut', request => request.socket.destroy(), /cannot be reached/],
  ])('%s', async (_name, fault, says) => {
    witness.fault = fault;
    const error = await failure(publish(anchorOf(log), log));
    expect(error).not.toBeInstanceOf(AnchorConflict);
    expect(error.message).toMatch(says);
  });

  test('cosignatures of keys that were not configured, or over something else', async () => {
    const stranger = await Witness.start('witness.example/w1', 8);
    const { text } = openNote((await log.signCheckpoint()).note, [log.judgeKey]);
    const wrong: [string, RegExp][] = [
      [stranger.cosign(text), /without a cosignature of `witness.example\/w1`/],
      [witness.cosign(text.replace('3\n', '4\n')), /is not over this text/],
    ];
    for (const [body, says] of wrong) {
      witness.fault = answer(200, body);
      expect((await failure(publish(anchorOf(log), log))).message).toMatch(says);
    }
    await stranger.close();
  });

  test('silence, until the signal ends it', async () => {
    witness.fault = () => undefined;
    const stop = new AbortController();
    const attempt = failure(anchorOf(log).publish(await log.signCheckpoint(), stop.signal));
    stop.abort(new Error('no answer within 10 s'));
    expect((await attempt).message).toBe('the witness cannot be reached: no answer within 10 s');
  });

  test('a witness that is not there', async () => {
    expect((await failure(publish(anchorOf(log, 'http://127.0.0.1:1'), log))).message).toMatch(
      /cannot be reached/,
    );
  });
});

function endless(response: Parameters<Fault>[1]): void {
  response.writeHead(200);
  const more = (): void => {
    while (response.write('x'.repeat(4096))) if (response.destroyed) return;
    if (!response.destroyed) response.once('drain', more);
  };
  more();
}
