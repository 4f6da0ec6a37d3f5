import { type Socket } from 'node:net';
import { type WebSocket } from 'ws';
import { type LinkTiming } from './timing.js';

/** Looks per deadline: how late silence may be noticed, as a fraction of it. */
const LOOKS = 8;

/**
 * Pings, and terminates a connection that brings no byte. A peer that is gone without a FIN answers nothing at all, so
 * nothing polite would ever end it.
 *
 * Time is counted in looks and not by the clock: after this process was stopped, or its loop blocked, what has arrived
 * meanwhile must be read before anybody is called silent.
 *
 * @returns stops it
 */
export function keepAlive(options: {
  webSocket: WebSocket;
  socket: Socket;
  timing: LinkTiming;
  onSilence: () => void;
}): () => void {
  const { webSocket, socket, timing, onSilence } = options;
  const lookMs = Math.min(timing.pingIntervalMs, timing.inboundDeadlineMs / LOOKS);
  let bytesRead = socket.bytesRead;
  let silentMs = 0;
  let sincePingMs = 0;
  const timer = setInterval(() => {
    silentMs = socket.bytesRead === bytesRead ? silentMs + lookMs : 0;
    sincePingMs += lookMs;
    bytesRead = socket.bytesRead;
    if (silentMs >= timing.inboundDeadlineMs) onSilence();
    else if (sincePingMs >= timing.pingIntervalMs && webSocket.readyState === webSocket.OPEN) {
      sincePingMs = 0;
      webSocket.ping();
    }
  }, lookMs);
  return () => clearInterval(timer);
}
