import { ensureRedisServer } from './redis.js';

export default ensureRedisServer;
