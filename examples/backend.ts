// A backend of your own: an assistant, settings in a file, users known by their token, bounds, a graceful end.

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Endpoint } from 'guru-comms'
import { createBackend, type Responder } from 'guru-comms/server'

const folder = await mkdtemp(join(tmpdir(), 'guru-example-'))
const users = new Map([['Bearer token-of-ada', 'ada']])

/** Counts the words of what it is told, and remembers how often it was asked. */
const counter: Responder = {
  async *respond({ content }, { history, signal }) {
    yield `Question ${history.length / 2 + 1}: `
    for (const word of content.split(/\s+/)) {
      if (signal.aborted) return
      yield `${word} (${word.length}) `
    }
  },
}

const backend = await createBackend({
  port: 0,
  responder: counter,
  models: [{ id: 'counter', name: 'Counts words' }],
  settingsFile: join(folder, 'settings.json'),
  authenticate: ({ headers }) => users.get(headers.authorization ?? ''),
  allowedOrigins: ['https://app.example'],
  maxConnectionsPerAddress: 20,
  maxPayload: 1024 * 1024,
  // Other paths are yours.
  onRequest(request, response) {
    if (request.url !== '/version') return false
    response.setHeader('content-type', 'application/json').end('{"version":"1.0"}')
    return true
  },
})

const endpoint = new Endpoint({
  WS_URL: `ws://127.0.0.1:${backend.port}/ws`,
  API_BASE_URL: backend.url,
  token: 'token-of-ada',
})
console.log(await endpoint.ask('How long are these?').text())
console.log(await endpoint.ask('And these?').text())

await endpoint.setSettings({ voice: 'calm' })
console.log('on disk:', (await readFile(join(folder, 'settings.json'), 'utf8')).trim())
console.log('version:', await endpoint.api.get('/version'))

const stranger = await fetch(`${backend.url}/v1/models`)
console.log('without a token:', stranger.status, await stranger.json())
console.log(backend.getStats())

endpoint.dispose()
await backend.close({ graceMs: 1000 })
await rm(folder, { recursive: true })
