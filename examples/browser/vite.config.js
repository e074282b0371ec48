// The headers let the page use threads; the package keeps its workers and wasm files as they are.
export default {
  optimizeDeps: { exclude: ['espalier'] },
  worker: { format: 'es' },
  server: {
    headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
  },
}
