import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// The server replaces this word in index.html by a fresh nonce at every answer.
const nonce = '__CSP_NONCE__';

export default defineConfig(({ command }) => ({
  plugins: [react()],
  html: command === 'build' ? { cspNonce: nonce } : {},
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    sourcemap: false,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        // What several rooms share comes in one file, not in thirty tiny ones; what reads
        // mail is large, and comes with the first message that is opened.
        codeSplitting: {
          groups: [
            {
              name: 'shared',
              minShareCount: 3,
              test: (id) => !/dompurify|parts\/(reader|sanitise)/.test(id),
            },
          ],
        },
      },
    },
  },
  server: {
    proxy: {
      '/v1': process.env.MAILVOW_API ?? 'http://localhost:8080',
    },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
  },
}));
