// What a user could run in place of the gateway, to be forked: `http-proxy` that puts the credential on each request, over
// connections that are kept. It sends `{ port }` once it listens.
import { Agent, createServer } from 'node:http';
import httpProxy from 'http-proxy';

const [target, secret] = process.argv.slice(2);

const proxy = httpProxy.createProxyServer({ target, agent: new Agent({ keepAlive: true }), changeOrigin: true });
proxy.on('proxyReq', (request) => request.setHeader('authorization', `Bearer ${secret}`));
proxy.on('error', (_error, _request, response) => response.destroy());

const server = createServer({ keepAliveTimeout: 0 }, (request, response) => proxy.web(request, response));
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
