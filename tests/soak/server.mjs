// The server of a soak, a process of its own, to be killed and stopped: one port for sessions, whose handlers record what they
// handle in the store's transactions, one for plain lines. What it saw is in the database, which outlives it.
// Arguments: file, port of sessions, port of plain lines.

import { createServer } from 'node:http'
import { SessionServer } from 'guru-comms/server'
import { sqliteSessionStore } from 'guru-comms/storage/sqlite'
import { WebSocketServer } from 'ws'

const [file, sessionPort, plainPort] = process.argv.slice(2)

const store = sqliteSessionStore({ file, synchronous: 'normal' })
const { database } = store
database.exec(`
  CREATE TABLE IF NOT EXISTS handled (place INTEGER PRIMARY KEY, client INTEGER, n INTEGER);
  CREATE TABLE IF NOT EXISTS answered (client INTEGER, n INTEGER);
  CREATE TABLE IF NOT EXISTS plain (place INTEGER PRIMARY KEY, client INTEGER, n INTEGER);
  CREATE TABLE IF NOT EXISTS fault (what TEXT);
`)
const handled = database.prepare('INSERT INTO handled (client, n) VALUES (?, ?)')
const answered = database.prepare('INSERT INTO answered VALUES (?, ?)')
const plain = database.prepare('INSERT INTO plain (client, n) VALUES (?, ?)')
const fault = database.prepare('INSERT INTO fault VALUES (?)')
process.on('unhandledRejection', (error) => fault.run(`unhandled: ${error}`))

const sessions = new SessionServer({
  store,
  maxSessionsPerPrincipal: 100_000,
  maxConnectionsPerAddress: 100_000,
})
sessions.on('error', (error) => fault.run(`error: ${error.code} ${error.message}`))
sessions.onSession((session) => {
  session.on('lost', ({ reason }) => fault.run(`lost: ${reason}`))
  session.handle(async ({ client, n }, { record }) => {
    await record(() => handled.run(client, n))
    session.send({ re: n }).stored.then(
      () => answered.run(client, n),
      () => {},
    )
  })
})

const health = (_request, response) => response.end('{"status":"ok"}')
const forSessions = createServer(health)
sessions.attach(forSessions)
const forPlain = createServer(health)
new WebSocketServer({ server: forPlain }).on('connection', (socket) => {
  socket.on('error', () => {})
  socket.on('message', (data) => {
    const { client, n } = JSON.parse(data)
    plain.run(client, n)
    socket.send(JSON.stringify({ re: n }))
  })
})
forSessions.listen(Number(sessionPort), '127.0.0.1', () =>
  forPlain.listen(Number(plainPort), '127.0.0.1', () => console.log('started')),
)
