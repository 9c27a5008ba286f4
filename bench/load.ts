/** Entry of the load process: takes its options as a message, answers with the figures, ends. */
import { z } from 'zod';
import { runLoad } from './client.ts';

const optionsSchema = z.object({
  port: z.int(),
  path: z.string(),
  headers: z.record(z.string(), z.string()),
  heads: z.array(z.record(z.string(), z.string())).optional(),
  bodies: z.array(z.string()),
  connections: z.int(),
  seconds: z.number(),
  rate: z.number().optional(),
});

process.once('message', message => {
  const { rate, heads, ...options } = optionsSchema.parse(message);
  const more = { ...(rate === undefined ? {} : { rate }), ...(heads === undefined ? {} : { heads }) };
  void runLoad({ ...options, ...more }).then(result => {
    process.send?.(result, () => process.exit(0));
  });
});
