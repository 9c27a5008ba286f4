/**
 * `node --import ./bench/plain-log/preload.ts src/cli.ts serve`: a service without evidence, which exists nowhere but in
 * the benchmark. Threads load it as well. Invariant: what is replaced has the type of what it takes the place of.
 */
import { registerHooks } from 'node:module';
import type * as anchorPublisher from '../../src/decision-log/anchor-publisher.ts';
import type * as checkpoint from '../../src/decision-log/checkpoint.ts';
import type * as frontier from '../../src/decision-log/frontier.ts';
import type * as subjectRegistry from '../../src/decision-log/subject-registry.ts';

/** The modules of src/decision-log that are replaced, as they are. */
interface Replaced {
  'anchor-publisher.ts': () => Promise<typeof anchorPublisher>;
  'checkpoint.ts': () => Promise<typeof checkpoint>;
  'frontier.ts': () => Promise<typeof frontier>;
  'subject-registry.ts': () => Promise<typeof subjectRegistry>;
}

/** The modules of this folder in their place. Nobody calls these functions: they are there for their types. */
const PLAIN = {
  'anchor-publisher.ts': () => import('./anchor-publisher.ts'),
  'checkpoint.ts': () => import('./checkpoint.ts'),
  'frontier.ts': () => import('./frontier.ts'),
  'subject-registry.ts': () => import('./subject-registry.ts'),
} satisfies Replaced;

const urlOf = (path: string): string => new URL(path, import.meta.url).href;
const plainUrls = new Map(
  Object.keys(PLAIN).map(name => [urlOf(`../../src/decision-log/${name}`), urlOf(`./${name}`)]),
);

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    const plain = plainUrls.get(resolved.url);
    // the plain module extends the real one
    return plain === undefined || plain === context.parentURL ? resolved : { ...resolved, url: plain };
  },
});
