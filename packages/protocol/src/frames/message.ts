import { z } from 'zod';
import { LIMITS } from '../limits.js';

/** Bytes a text takes on the stdin of an interactive run: of its JSON string in UTF-8, quotes included. */
export function messageBytes(text: string): number {
  return new TextEncoder().encode(JSON.stringify(text)).length;
}

export function fitsMessage(text: string): boolean {
  return messageBytes(text) <= LIMITS.messageBytesMax;
}

export const TOO_LONG = `must have at most ${LIMITS.messageBytesMax} bytes as JSON; put what is longer into a file`;

/** What is said to an interactive run. */
export const messageTextSchema = z.string().min(1).refine(fitsMessage, TOO_LONG);
