/** What a client that is denied is told of its limits. */
const LIMITS = [
  'Retry-After',
  'RateLimit',
  'RateLimit-Policy',
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'X-RateLimit-Reset',
];

/** Asks Duramen with the body of the request. Only an answer of exactly 200 lets the request pass. */
async function gate(r) {
  let reply;
  try {
    reply = await r.subrequest('/_duramen', { method: 'POST', body: r.requestText || '' });
  } catch (error) {
    r.error(`Duramen was not asked: ${error.message}`);
    r.return(503, '{"error":{"code":"UNAVAILABLE"}}');
    return;
  }
  const said = reply.headersOut;
  if (reply.status === 200 && said['X-Duramen-Decision'] === 'allow') {
    r.variables.duramen_decision_id = said['X-Duramen-Decision-Id'] || '';
    r.variables.duramen_principal = said['X-Duramen-Principal'] || '';
    r.variables.duramen_tenant = said['X-Duramen-Tenant'] || '';
    r.variables.duramen_model = said['X-Duramen-Model'] || '';
    r.internalRedirect('@upstream');
    return;
  }
  const reason = said['X-Duramen-Reason'];
  if (reason === undefined) {
    r.return(503, '{"error":{"code":"UNAVAILABLE"}}');
    return;
  }
  r.headersOut['Content-Type'] = 'application/json';
  r.headersOut['X-Duramen-Reason'] = reason;
  r.headersOut['X-Duramen-Decision-Id'] = said['X-Duramen-Decision-Id'] || '';
  LIMITS.forEach(name => {
    if (said[name]) r.headersOut[name] = said[name];
  });
  const status = Number(said['X-Duramen-Status']);
  r.return(status >= 400 && status < 600 ? status : 403, reply.responseText || '');
}

export default { gate };
