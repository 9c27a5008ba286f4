/** Entry of the load process for gRPC: takes its options as a message, answers with the figures, ends. */
import { z } from 'zod';
import { runGrpcLoad } from './grpc-client.ts';

const optionsSchema = z.object({
  port: z.int(),
  path: z.string(),
  metadata: z.record(z.string(), z.string()),
  messages: z.array(z.string().transform(text => Buffer.from(text, 'base64'))),
  connections: z.int(),
  streams: z.int(),
  seconds: z.number(),
});

process.once('message', message => {
  void runGrpcLoad(optionsSchema.parse(message)).then(result => {
    process.send?.(result, () => process.exit(0));
  });
});
