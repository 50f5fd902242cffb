import { defineConfig } from 'vite'

export default defineConfig({
  // Nothing inlined: the page's policy takes scripts from its own origin only, worklets too.
  build: { target: 'es2023', sourcemap: true, assetsInlineLimit: 0 },
  // While developing, the page comes from here and everything else from a backend that `npm start` runs.
  server: {
    proxy: {
      '/v1': 'http://127.0.0.1:8000',
      '/api': 'http://127.0.0.1:8000',
      '/__faults': 'http://127.0.0.1:8000',
      '/ws': { target: 'ws://127.0.0.1:8000', ws: true },
    },
  },
})
