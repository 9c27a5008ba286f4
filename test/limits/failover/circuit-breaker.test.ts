/** The circuit before a store that does not answer: when it opens, and that it closes by itself. */
import { describe, expect, test } from 'vitest';
import { CircuitBreaker } from '../../../src/limits/failover/circuit-breaker.ts';
import { ManualTime } from '../../decision-log/manual-time.ts';

interface Scene {
  readonly circuit: CircuitBreaker;
  readonly time: ManualTime;
  /** Reasons as they were told; `closed` when it closed. */
  readonly changes: string[];
  /** Attempts to recover so far. */
  readonly attempts: () => number;
  works: boolean;
}

function makeScene(): Scene {
  const time = new ManualTime();
  const changes: string[] = [];
  let attempts = 0;
  const circuit = new CircuitBreaker({
    after: (ms, action) => time.after(ms, action),
    recover: async close => {
      attempts++;
      if (!scene.works) throw new Error('not yet');
      close();
    },
    onChange: reason => changes.push(reason ?? 'closed'),
  });
  const scene: Scene = { circuit, time, changes, attempts: () => attempts, works: false };
  return scene;
}

describe('a circuit', () => {
  test('opens at the fifth failure in a row, and not before', () => {
    const { circuit, changes } = makeScene();
    for (let n = 0; n < 4; n++) circuit.failed('late');
    expect(circuit.isOpen).toBe(false);
    circuit.failed('late');
    expect(circuit.reason).toBe('late');
    expect(changes).toEqual(['late']);
  });

  test('forgets failures at an answer', () => {
    const { circuit } = makeScene();
    for (let n = 0; n < 20; n++) {
      circuit.failed('late');
      if (n % 4 === 3) circuit.succeeded();
    }
    expect(circuit.isOpen).toBe(false);
  });

  test('opens at once when the connection is gone, and tells it once', () => {
    const { circuit, changes } = makeScene();
    circuit.open('gone');
    circuit.open('gone again');
    circuit.failed('late');
    expect(changes).toEqual(['gone']);
  });

  test('tries to recover ever more rarely, and never less than every two seconds', async () => {
    const { circuit, time, attempts } = makeScene();
    circuit.open('gone');
    const pauses: number[] = [];
    for (let n = 1; n <= 8; n++) {
      const begin = time.monotonic();
      while (attempts() < n) await time.advance(50);
      pauses.push(time.monotonic() - begin);
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 2000, 2000, 2000]);
  });

  test('closes at the attempt that succeeds, and opens anew with short pauses', async () => {
    const scene = makeScene();
    const { circuit, time, changes, attempts } = scene;
    circuit.open('gone');
    for (let n = 0; n < 40; n++) await time.advance(50);
    scene.works = true;
    for (let n = 0; n < 40; n++) await time.advance(50);
    expect(circuit.isOpen).toBe(false);
    expect(changes).toEqual(['gone', 'closed']);
    for (let n = 0; n < 100; n++) circuit.succeeded();
    const before = attempts();
    circuit.open('gone again');
    expect(circuit.pauseMs).toBe(100);
    for (let n = 0; n < 2; n++) await time.advance(50);
    expect(attempts()).toBe(before + 1);
  });

  test('is tried more rarely when it fails again at once', async () => {
    const scene = makeScene();
    const { circuit, time } = scene;
    scene.works = true;
    const pauses: number[] = [];
    for (let n = 0; n < 7; n++) {
      circuit.open('flaps');
      const begin = time.monotonic();
      while (circuit.isOpen) await time.advance(50);
      pauses.push(time.monotonic() - begin);
      for (let answers = 0; answers < 99; answers++) circuit.succeeded();
    }
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 2000, 2000]);
  });

  test('tries nothing any more when it was stopped', async () => {
    const { circuit, time, attempts } = makeScene();
    circuit.open('gone');
    circuit.stop();
    for (let n = 0; n < 100; n++) await time.advance(50);
    expect(attempts()).toBe(0);
  });

  test('keeps one attempt under way, also when it is asked for another', async () => {
    const { circuit, time, attempts } = makeScene();
    circuit.open('gone');
    await circuit.attempt();
    await circuit.attempt();
    expect(attempts()).toBe(2);
    for (let n = 0; n < 7; n++) await time.advance(50);
    expect(attempts()).toBe(2);
    await time.advance(50);
    expect(attempts()).toBe(3);
  });
});
