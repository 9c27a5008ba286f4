import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Two processes run the test files one after the other: no module keeps state, so that none has to be loaded anew for each. */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/filled-folders.ts',
    pool: 'forks',
    isolate: false,
    // several times what the slowest test takes on two cores that have nothing else to do
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // what is polled for comes in a moment; one second of a busy machine is none
    expect: { poll: { timeout: 30_000 } },
    maxWorkers: 2,
    // services and threads that tests start need not compile the same code a hundred times
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/duramen', import.meta.url)) },
  },
});
