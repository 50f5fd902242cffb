// Both lines to an assistant, as one object.

import { Endpoint } from 'guru-comms'
import { createBackend } from 'guru-comms/server'

const backend = await createBackend({
  port: 0,
  // Any async iterable of text is an assistant.
  responder: {
    async *respond(message, { signal }) {
      for (const word of `You asked: ${message.content}`.split(/(?<= )/)) {
        if (signal.aborted) return
        yield word
      }
    },
  },
})

const endpoint = new Endpoint({
  WS_URL: `ws://127.0.0.1:${backend.port}/ws`,
  API_BASE_URL: `http://127.0.0.1:${backend.port}`,
  NODE_ENV: 'development',
})
endpoint.on('statusChange', (status) => console.log('status:', status))

// Piece by piece ...
const reply = endpoint.ask('What is a circuit breaker?')
for await (const piece of reply) console.log('piece:', piece)

// ... or whole.
console.log('whole:', await endpoint.ask('And a bulkhead?').text())

console.log('models:', await endpoint.getModels())
endpoint.dispose()
await backend.close()
