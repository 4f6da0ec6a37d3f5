import { readFileSync } from 'node:fs';
import { type Server } from 'node:net';

const LOOPBACK = '127.0.0.1';
/** Below it are ports that services are known by. */
const LOWEST = 20_000;
const HIGHEST = 60_999;
const TRIES = 50;

/**
 * Binds a server to a port of its own on loopback.
 *
 * @param wanted The port of the last time, which the runs of a sidecar that was restarted still call; null: any one
 * outside the range that the kernel gives to clients, so that it is still free the next time.
 * @throws Error `EADDRINUSE` when the wanted port is taken
 */
export async function bindGateway(server: Server, wanted: number | null): Promise<number> {
  if (wanted !== null) {
    await bind(server, wanted);
    return wanted;
  }
  for (let left = TRIES; left > 0; left--) {
    const port = anyPort(ephemeralRange());
    try {
      await bind(server, port);
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST}`);
}

function anyPort([low, high]: readonly [number, number]): number {
  const below = Math.max(0, Math.min(low, HIGHEST) - LOWEST);
  const above = Math.max(0, HIGHEST - Math.max(high, LOWEST));
  if (below + above === 0) return LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
  const pick = Math.floor(Math.random() * (below + above));
  return pick < below ? LOWEST + pick : Math.max(high, LOWEST) + 1 + (pick - below);
}

/** See ip(7), `ip_local_port_range`. */
function ephemeralRange(): readonly [number, number] {
  try {
    const [low, high] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number);
    return low !== undefined && high !== undefined ? [low, high] : [32_768, 60_999];
  } catch {
    return [32_768, 60_999];
  }
}

function bind(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(error);
    server.once('error', onError);
    server.listen({ host: LOOPBACK, port }, () => {
      server.off('error', onError);
      resolve();
    });
  });
}
