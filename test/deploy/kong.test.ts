/**
 * The script for Kong, run by HAProxy's Lua with stand-ins for Kong's functions: no Kong is at hand. Invariant: it lets
 * pass for an answer of 200 that says allow, and for nothing else.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const SCRIPT = join(import.meta.dirname, '../../deploy/kong/duramen.lua');
const LUA = 'haproxy';
const isThere = spawnSync(LUA, ['-v']).error === undefined;
if (!isThere) process.stderr.write("skipped the tests of Kong's script: haproxy is not installed\n");

/** Runs the script once; what it did, line by line. */
const HARNESS = `
local said = {}
local function say(...) said[#said + 1] = table.concat({...}, " ") end
os.getenv = function(name) return SCENE.env[name] end
kong = {
  request = {
    get_raw_body = function() return SCENE.body end,
    get_headers = function() return SCENE.headers end,
    get_method = function() return "POST" end,
    get_host = function() return "llm.example" end,
  },
  service = { request = {
    set_header = function(name, value) say("set", name, value) end,
    clear_header = function(name) say("clear", name) end,
  } },
  response = { exit = function(status, body, headers)
    say("exit", status, body or "", (headers and headers["X-Duramen-Reason"]) or "-")
    return "exited"
  end },
}
ngx = { var = { request_uri = "/v1/chat/completions?x=%2F" } }
package.loaded["resty.http"] = { new = function() return {
  set_timeouts = function(_, ...) say("timeouts", ...) end,
  request_uri = function(_, url, options)
    say("ask", options.method, url, options.body)
    local names = {}
    for name in pairs(options.headers) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      local value = options.headers[name]
      say("header", name, type(value) == "table" and table.concat(value, "|") or value)
    end
    return SCENE.reply
  end,
} end }
local chunk, fault = load(SOURCE, "duramen.lua")
if not chunk then say("fault", fault) else chunk() end
local file = io.open(RESULT, "w")
file:write(table.concat(said, "\\n"))
file:close()
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-kong-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** @param scene a Lua table */
function run(scene: string): string[] {
  const [harness, config, result] = ['harness.lua', 'haproxy.cfg', 'result'].map(name => join(folder, name));
  if (harness === undefined || config === undefined || result === undefined) throw new Error('no folder');
  const source = readFileSync(SCRIPT, 'utf8');
  writeFileSync(
    harness,
    `local SCENE = ${scene}\nlocal SOURCE = [==[${source}]==]\nlocal RESULT = [==[${result}]==]\n${HARNESS}`,
  );
  writeFileSync(config, `global\n  lua-load ${harness}\n`);
  spawnSync(LUA, ['-c', '-f', config]);
  return readFileSync(result, 'utf8').split('\n');
}

const ENV = 'env = { DURAMEN_URL = "http://pdp/ext-authz/kong", DURAMEN_KEY = "the-key" }';
const REQUEST = `${ENV}, body = "{}", headers = {
  ["content-length"] = "2", ["authorization"] = "Bearer x", ["x-twice"] = { "a", "b" }, ["host"] = "llm.example",
  ["x-duramen-key"] = "spoofed", ["x-original-uri"] = "/spoofed", ["x-original-host"] = "spoofed",
}`;
const ALLOW = `reply = { status = 200, body = "", headers = {
  ["x-duramen-decision"] = "allow", ["x-duramen-model"] = "acme/m", ["x-duramen-tool"] = "",
} }`;

describe.skipIf(!isThere)("Kong's script", () => {
  test('asks with what it knows itself, and with all that the client sent', () => {
    const said = run(`{ ${REQUEST}, ${ALLOW} }`);
    expect(said.slice(0, 2)).toEqual(['timeouts 200 1000 1000', 'ask POST http://pdp/ext-authz/kong {}']);
    expect(said.filter(line => line.startsWith('header '))).toEqual([
      'header authorization Bearer x',
      'header x-duramen-key the-key',
      'header x-original-content-length 2',
      'header x-original-host llm.example',
      'header x-original-method POST',
      'header x-original-uri /v1/chat/completions?x=%2F',
      'header x-twice a|b',
    ]);
  });

  test('lets pass what is allowed, with every header of the answer set or removed', () => {
    const said = run(`{ ${REQUEST}, ${ALLOW} }`);
    expect(said.filter(line => line.startsWith('exit'))).toEqual([]);
    expect(said).toContain('set x-duramen-model acme/m');
    expect(said.filter(line => line.startsWith('clear '))).toHaveLength(10);
    expect(said).toContain('clear x-duramen-tool');
    expect(said).toContain('clear x-duramen-key');
  });

  test.each([
    [
      'a deny',
      'reply = { status = 403, body = "no", headers = { ["x-duramen-status"] = "429", ["x-duramen-reason"] = "RATE_LIMITED" } }',
      'exit 429 no RATE_LIMITED',
    ],
    ['a deny without a status', 'reply = { status = 403, body = "no", headers = {} }', 'exit 403 no -'],
    ['200 that does not say allow', 'reply = { status = 200, body = "", headers = {} }', 'exit 403  -'],
    [
      '201 that says allow',
      'reply = { status = 201, body = "", headers = { ["x-duramen-decision"] = "allow" } }',
      'exit 403  -',
    ],
    [
      'an allow with a status beyond 4xx',
      'reply = { status = 204, body = "", headers = { ["x-duramen-status"] = "200" } }',
      'exit 403  -',
    ],
    [
      'an error',
      'reply = { status = 503, body = "", headers = { ["x-duramen-decision"] = "allow" } }',
      'exit 503',
    ],
    ['silence', 'reply = nil', 'exit 503'],
  ])('holds back after %s', (_, reply, expected) => {
    const said = run(`{ ${REQUEST}, ${reply} }`);
    expect(said.at(-1)).toMatch(new RegExp(`^${expected}`));
    expect(said.filter(line => /^(?:set|clear) /.test(line))).toEqual([]);
  });

  test.each([
    ['a body in a file', `${ENV}, headers = {}, ${ALLOW}`],
    ['no key', `env = { DURAMEN_URL = "http://pdp" }, body = "", headers = {}, ${ALLOW}`],
  ])('does not ask with %s, and lets nothing pass', (_, scene) => {
    expect(run(`{ ${scene} }`)).toEqual([expect.stringMatching(/^exit 503/)]);
  });

  test('says of a chunked body that it may be longer', () => {
    const chunked = `${ENV}, body = "{}", headers = { ["transfer-encoding"] = "chunked" }, ${ALLOW}`;
    expect(run(`{ ${chunked} }`)).toContain('header x-original-content-length 3');
  });
});
