// What a runtime has to be able to do, in words that each of them understands. It is given the library, however that was
// loaded, and the addresses of a probe server (probeServer.ts).

/** @returns by job, `true` or what went wrong */
export async function probe({ ApiClient, ApiError, Endpoint, GuruConnection }, { baseURL, linesURL }) {
  const id = `${Math.random()}`.slice(2)
  const cut = () => fetch(`${baseURL}/cut`, { method: 'POST' })

  const jobs = {
    async 'GET with retry'() {
      const client = new ApiClient({ baseURL, retryDelay: 10 })
      const { tries } = await client.get(`/flaky/${id}`)
      const error = await client.get('/nothing').catch((thrown) => thrown)
      client.dispose()
      return tries === 2 && error instanceof ApiError && error.status === 404
    },

    async 'fetch, as a stream'() {
      const client = new ApiClient({ baseURL })
      const response = await client.fetch('/v1/health')
      const reader = response.body.getReader()
      let bytes = 0
      for (let part = await reader.read(); !part.done; part = await reader.read()) bytes += part.value.length
      client.dispose()
      return response.status === 200 && bytes > 0
    },

    async 'WebSocket that comes back'() {
      const connection = new GuruConnection({ url: `${linesURL}/echo`, reconnectDelay: 10, healthUrl: false })
      connection.on('error', () => {})
      const messages = connection[Symbol.asyncIterator]()
      connection.send({ text: 'before' })
      const first = await messages.next()
      const lost = new Promise((resolve) => connection.once('close', resolve))
      await cut()
      await lost
      connection.send({ text: 'after' })
      const second = await messages.next()
      connection.dispose()
      return first.value.text === 'before' && second.value.text === 'after'
    },

    async 'session over a cut'() {
      const connection = new GuruConnection({
        url: `${linesURL}/session`,
        session: 'required',
        reconnectDelay: 10,
        healthUrl: false,
      })
      connection.on('error', () => {})
      const count = 30
      const heard = []
      const all = new Promise((resolve) => {
        connection.handle((message) => {
          heard.push(message.n)
          if (heard.length === 10) void cut()
          if (heard.length === count) resolve()
        })
      })
      for (let n = 0; n < count; n += 1) connection.send({ n })
      await all
      connection.dispose()
      return heard.every((n, index) => n === index)
    },

    async assistant() {
      const endpoint = new Endpoint({ WS_URL: `${baseURL.replace('http', 'ws')}/ws`, API_BASE_URL: baseURL })
      const text = await endpoint.ask('is it there?').text()
      const health = await endpoint.getHealth()
      endpoint.dispose()
      return text === 'You said: is it there?' && health.status === 'ok'
    },
  }

  const results = {}
  for (const [name, job] of Object.entries(jobs)) {
    const hung = new Promise((_, reject) => setTimeout(() => reject(new Error('it hangs')), 60_000).unref?.())
    results[name] = await Promise.race([job(), hung]).then(
      (isRight) => isRight || 'wrong result',
      (error) => `${error?.stack ?? error}`,
    )
  }
  return results
}
