/** The product's logo: a tide gauge and water. */
export function Mark({ size }: { size: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" role="img" aria-label="Tidemark">
      <path d="M7 4v24" stroke="currentColor" strokeWidth="2.4" strokeLinecap="round" />
      <path d="M7 7h5M7 12h3.5M7 17h5" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
      <path d="M12 20c2.6-3 5-3 7.6 0s5 3 7.4 0" stroke="currentColor" strokeWidth="2.6" strokeLinecap="round" />
      <path
        d="M12 26c2.6-3 5-3 7.6 0s5 3 7.4 0"
        stroke="currentColor"
        strokeWidth="2.6"
        strokeLinecap="round"
        opacity=".5"
      />
    </svg>
  );
}
