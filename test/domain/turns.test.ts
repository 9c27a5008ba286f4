/** Requests of one turn make their steps together, in their order, and never more than 32 at once. */
import { expect, test } from 'vitest';
import { NEXT_STEP, Turns } from '../../src/domain/turns.ts';

/** A request that says when it makes each of its steps. */
async function request(name: string, turns: Turns, said: string[]): Promise<void> {
  said.push(`${name} read`);
  await turns.end();
  said.push(`${name} decided`);
  await NEXT_STEP;
  said.push(`${name} recorded`);
}

test('all are read before one is decided, and all decided before one is recorded', async () => {
  const turns = new Turns();
  const said: string[] = [];
  await Promise.all(['a', 'b', 'c'].map(name => request(name, turns, said)));
  expect(said).toEqual([
    'a read',
    'b read',
    'c read',
    'a decided',
    'b decided',
    'c decided',
    'a recorded',
    'b recorded',
    'c recorded',
  ]);
});

test('what comes in a later turn is not waited for', async () => {
  const turns = new Turns();
  const said: string[] = [];
  const late = new Promise<void>(resolve => {
    setTimeout(() => void request('late', turns, said).then(resolve), 5);
  });
  await request('early', turns, said);
  expect(said).toEqual(['early read', 'early decided', 'early recorded']);
  await late;
  expect(said.slice(3)).toEqual(['late read', 'late decided', 'late recorded']);
});

test('of many, the first 32 are done with their steps before the others begin', async () => {
  const turns = new Turns();
  const said: string[] = [];
  const names = Array.from({ length: 70 }, (_, at) => String(at));
  await Promise.all(names.map(name => request(name, turns, said)));
  const place = (text: string): number => said.indexOf(text);
  expect(said).toHaveLength(210);
  expect(place('69 read')).toBeLessThan(place('0 decided'));
  expect(place('31 recorded')).toBeLessThan(place('32 decided'));
  expect(place('31 decided')).toBeLessThan(place('0 recorded'));
  expect(place('63 recorded')).toBeLessThan(place('64 decided'));
});
