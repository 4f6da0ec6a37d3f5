export { redisStore, type RedisStoreOptions } from './store/redis/redis-store.js';
