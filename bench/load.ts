/** Entry of the load process: takes its options as a message, answers with the figures, ends. */
import { z } from 'zod';
import { runLoad } from './client.ts';

const optionsSchema = z.object({
  port: z.int(),
  path: z.string(),
  headers: z.record(z.string(), z.string()),
  bodies: z.array(z.string()),
  connections: z.int(),
  seconds: z.number(),
  rate: z.number().optional(),
});

process.once('message', message => {
  const { rate, ...options } = optionsSchema.parse(message);
  void runLoad({ ...options, ...(rate === undefined ? {} : { rate }) }).then(result => {
    process.send?.(result, () => process.exit(0));
  });
});
