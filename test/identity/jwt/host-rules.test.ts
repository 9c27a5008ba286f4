/** Where an issuer's documents may come from: no address that the operator did not mean can be asked. */
import { createServer } from 'node:http';
import { describe, expect, test } from 'vitest';
import { AddressBook, checkUrl, hostRules } from '../../../src/identity/jwt/host-rules.ts';
import { RemoteDocuments } from '../../../src/identity/jwt/remote-documents.ts';

describe('addresses', () => {
  const book = new AddressBook();
  const special =
    '0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.168.1.1 198.18.0.1 ' +
    '224.0.0.1 255.255.255.255 :: ::1 ::ffff:10.0.0.1 ::ffff:7f00:1 64:ff9b::a00:1 fc00::1 fd12::1 fe80::1 ff02::1 ' +
    '2001:db8::1 2002:a00::1';
  test.each(special.split(' '))('%s is special', address => {
    expect(book.isSpecial(address)).toBe(true);
  });
  test.each([
    '1.1.1.1',
    '8.8.8.8',
    '172.15.255.255',
    '172.32.0.0',
    '223.255.255.255',
    '2606:4700::1111',
    '2a00::1',
  ])('%s is public', address => {
    expect(book.isSpecial(address)).toBe(false);
  });
});

describe('URLs', () => {
  const rules = hostRules(
    'https://idp.example/realm',
    ['keys.example'],
    ['10.0.0.7', '127.0.0.1:9', '[::1]'],
  );
  test.each([
    ['https://idp.example/keys'],
    ['https://IDP.example/keys'],
    ['https://keys.example/keys'],
    ['https://idp.example:8443/keys'],
  ])('%s may be asked', url => {
    expect(checkUrl(url, rules, 'it')).toBeUndefined();
  });
  test.each([
    ['http://idp.example/keys', 'must use https'],
    ['https://idp.example.attacker.example/keys', 'neither'],
    ['https://attacker.example/idp.example', 'neither'],
    ['https://idp.example@attacker.example/', 'user'],
    ['https://user@idp.example/', 'user'],
    ['https://idp.example/#frag', 'fragment'],
    ['https://10.0.0.7/', 'neither'],
    ['ftp://idp.example/', 'https'],
    ['file:///etc/passwd', 'neither'],
    ['javascript:alert(1)', 'neither'],
    ['//idp.example/', 'no URL'],
    ['', 'no URL'],
  ])('%s may not: %s', (url, reason) => {
    expect(checkUrl(url, rules, 'it')).toContain(reason);
  });
  test.each([
    ['http://127.0.0.1:9/', ['127.0.0.1'], ['127.0.0.1:9'], undefined],
    ['http://127.0.0.1:10/', ['127.0.0.1'], ['127.0.0.1:9'], 'https'],
    ['http://[::1]:80/', ['[::1]'], ['[::1]'], undefined],
    ['https://127.0.0.1/', ['127.0.0.1'], [], 'private address'],
    ['https://2130706433/', ['127.0.0.1'], [], 'private address'],
    ['https://0x7f.1/', ['127.0.0.1'], [], 'private address'],
    ['https://[::ffff:10.0.0.1]/', ['[::ffff:a00:1]'], [], 'private address'],
    ['https://10.0.0.7/', ['10.0.0.7'], ['10.0.0.7'], undefined],
    ['http://10.0.0.7/', ['10.0.0.7'], ['10.0.0.7'], 'https'],
  ])('%s with hosts %j and private hosts %j', (url, hosts, privateHosts, reason) => {
    const verdict = checkUrl(url, hostRules('urn:issuer', hosts, privateHosts), 'it');
    expect(verdict ?? 'allowed').toContain(reason ?? 'allowed');
  });
});

test('a name that resolves to a private address is refused at the connection, unless it is listed', async () => {
  const server = createServer((_, response) => void response.end('{}'));
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const documents = new RemoteDocuments({ deadlineMs: 30_000 });
  const url = `https://localhost:${port}/`;
  const unlisted = hostRules('urn:issuer', ['localhost'], []);
  await expect(documents.read({ url, rules: unlisted })).rejects.toThrow('resolves to a private address');
  const listed = hostRules('urn:issuer', ['localhost'], ['localhost']);
  // it was let through to the connection, where the server speaks no TLS
  await expect(documents.read({ url, rules: listed })).rejects.not.toThrow('private address');
  const plain = `http://localhost:${port}/`;
  expect(await documents.read({ url: plain, rules: listed })).toEqual({});
  server.closeAllConnections();
  await new Promise(resolve => server.close(resolve));
});
