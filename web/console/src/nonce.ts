/** The nonce under which this page may add styles; the server writes it into index.html. */
export const styleNonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';

// The scroll lock behind dialogs reads its nonce from this global name.
Object.assign(globalThis, { __webpack_nonce__: styleNonce });
