/** The yardstick: a bare Hono route that parses the same JSON and answers, with no decision and no log. */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';

const app = new Hono();
app.post('/decide', async context => {
  const body: unknown = await context.req.json();
  return context.json({ decision: typeof body === 'object' ? 'allow' : 'deny' });
});
// as Envoy asks: at any path below, by the method of its client
app.all('/ext-authz/edge/*', async context => {
  const body: unknown = await context.req.json();
  return context.body(null, typeof body === 'object' ? 200 : 403);
});
const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, address => {
  process.send?.({ port: address.port });
});
process.on('disconnect', () => {
  server.close();
  process.exit(0);
});
