// Lossless sessions in a server of your own: orders are recorded exactly once, and what the client has missed over a restart
// of the server is sent to it afterwards.

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { SessionServer } from 'guru-comms/server'
import { sqliteSessionStore } from 'guru-comms/storage/sqlite'

const folder = await mkdtemp(join(tmpdir(), 'guru-example-'))

interface Order {
  item: string
}

/** A whole server process, so to speak. */
async function startServer() {
  const store = sqliteSessionStore({ file: join(folder, 'shop.db') })
  store.database.exec('CREATE TABLE IF NOT EXISTS orders (item TEXT)')
  const insert = store.database.prepare('INSERT INTO orders VALUES (?)')

  const sessions = new SessionServer({
    store,
    authenticate: (_request, auth) => (auth === 'token of ada' ? 'ada' : undefined),
    logger: console,
  })
  sessions.onSession((session) => {
    session.handle(async (order, { id, record }) => {
      // The order and the fact that it is handled: both or neither, whatever dies.
      await record((_database: DatabaseSync) => insert.run((order as Order).item))
      session.send({ ordered: (order as Order).item })
      console.log(`${session.principal} ordered:`, order, id.endsWith('/1') ? '(the first message)' : '')
    })
    session.on('lost', ({ reason, inDoubt }) => console.log('lost:', reason, inDoubt))
  })

  const http = createServer((_request, response) => response.end('a shop'))
  sessions.attach(http, { path: '/line' })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  return {
    sessions,
    url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/line`,
    orders: () => store.database.prepare('SELECT item FROM orders').all(),
    async stop() {
      await sessions.close()
      http.close()
      store.close()
    },
  }
}

/** The other side by hand, to show what is on the wire; your app has `new GuruConnection({ url, session: 'required' })`. */
async function connect(url: string, first: object, ...then: string[]) {
  const socket = new WebSocket(url, 'guru.v1')
  const heard: string[] = []
  const opened = new Promise<{ sid: string; key: string; rx: number }>((resolve) => {
    socket.onmessage = ({ data }) => {
      heard.push(data)
      if (data.startsWith('{"t":"opened"')) resolve(JSON.parse(data))
    }
  })
  await once(socket, 'open')
  socket.send(JSON.stringify({ ...first, auth: 'token of ada' }))
  const session = await opened
  for (const frame of then) socket.send(frame)
  return {
    session,
    /** The message with this number. */
    async message(number: number): Promise<string> {
      for (;;) {
        const frame = heard.find((one) => one.startsWith(`${number}:`))
        if (frame) return frame
        await once(socket, 'message')
      }
    },
    close: () => socket.close(),
  }
}

const before = await startServer()
const line = await connect(before.url, { t: 'open' }, '1:{"item":"tea"}')
const { sid, key } = line.session
console.log('the answer:', await line.message(1))

// The client is away. What is said to it now is kept, on the disk.
line.close()
before.sessions.sessions.get(sid)?.send({ news: 'the tea is on its way' })
await before.stop()

const after = await startServer()
const again = await connect(after.url, { t: 'resume', sid, key, epoch: 1, rx: 1 }, '2:{"item":"milk"}')
console.log('the server has handled up to', again.session.rx)
console.log('what was missed:', await again.message(2))
console.log('the next answer:', await again.message(3))
console.log(
  'orders:',
  after
    .orders()
    .map(({ item }) => item)
    .join(', '),
)

again.close()
await after.stop()
await rm(folder, { recursive: true })
