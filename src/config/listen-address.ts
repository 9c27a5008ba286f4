/** Addresses to listen on, as settings write them. */
import { isIP } from 'node:net';

/** Where to listen, taken apart. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:8181`, `[::1]:8181`, `localhost:8181`; undefined when it is none of them. Port 0: any free one. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  const host = match[1] ?? match[2];
  if (host === undefined || port > 65_535) return undefined;
  return match[1] !== undefined && isIP(host) !== 6 ? undefined : { host, port };
}
