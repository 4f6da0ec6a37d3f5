import { ensurePythonWebsockets } from './python.js';
import { ensureRedisServer } from './redis.js';

export default function ensureEverything(): void {
  ensureRedisServer();
  ensurePythonWebsockets();
}
