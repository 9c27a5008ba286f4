/** The yardstick of gRPC: a bare grpc-js server that decodes the same message, parses the same JSON and says OK. */
import { fileURLToPath } from 'node:url';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { loadProtos } from '../src/edge/grpc/protos.ts';
import { z } from 'zod';

const requestSchema = z.object({
  attributes: z.object({ request: z.object({ http: z.object({ raw_body: z.instanceof(Buffer) }) }) }),
});
const { check } = loadProtos(fileURLToPath(new URL('../schema/protos', import.meta.url)));
const server = new Server();
server.addService(
  { Check: check },
  {
    Check(call: { request: unknown }, callback: (error: null, answer: object) => void) {
      const { raw_body: body } = requestSchema.parse(call.request).attributes.request.http;
      const parsed: unknown = JSON.parse(body.toString('utf8'));
      const code = typeof parsed === 'object' ? 0 : 7;
      callback(null, {
        status: { code },
        ok_response: { headers: [{ header: { key: 'x-decision', value: 'allow' } }] },
      });
    },
  },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.send?.({ port });
});
process.on('disconnect', () => {
  server.forceShutdown();
  process.exit(0);
});
