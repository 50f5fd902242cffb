import { expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { GuruConnection } from './GuruConnection.ts'

test('basic', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  server.on('connection', (s, req) => {
    console.log('auth', req.headers.authorization)
    s.on('message', (d, b) => s.send(d, { binary: b }))
  })
  await new Promise((r) => server.once('listening', r))
  const { port } = server.address() as { port: number }
  const c = new GuruConnection({ url: `ws://127.0.0.1:${port}/ws`, token: 'abc', enableLogging: true })
  for (const n of [
    'open',
    'close',
    'connectionState',
    'statusChange',
    'error',
    'reconnecting',
    'disconnected',
    'dropped',
  ] as const)
    c.on(n, (...a: unknown[]) => console.log(n, ...a))
  c.send({ hello: 1 })
  const got: unknown[] = []
  for await (const m of c) {
    got.push(m)
    console.log('m', m)
    if (got.length === 1) {
      c.send('ping')
    }
    if (got.length === 2) c.send(new Uint8Array([1, 2]))
    if (got.length === 3) break
  }
  expect(await c.request({ a: 1 })).toMatchObject({ a: 1 })
  console.log(c.getStats())
  c.close()
  await new Promise((r) => c.once('close', r))
  c.dispose()
  server.close()
})
