//! Views of float slices as matrices, and their product.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// Products below this many multiplications stay on one thread.
const PARALLEL_FROM: usize = 1 << 21;

/// A strided matrix to read.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    n_rows: usize,
    n_columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows one behind the other.
    pub(super) fn new(data: &'a [f32], n_rows: usize, n_columns: usize) -> Self {
        Self::strided(data, n_rows, n_columns, n_columns)
    }

    /// Rows that begin `row_stride` elements apart.
    pub(super) fn strided(data: &'a [f32], n_rows: usize, n_columns: usize, row_stride: usize) -> Self {
        assert_fits(data.len(), n_rows, n_columns, row_stride);
        Self { data, n_rows, n_columns, row_stride, column_stride: 1 }
    }

    /// The transpose, a view.
    pub(super) fn t(self) -> Self {
        Self {
            data: self.data,
            n_rows: self.n_columns,
            n_columns: self.n_rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// A matrix of strided rows to write.
pub(super) struct MatrixMut<'a> {
    data: *mut f32,
    n_rows: usize,
    n_columns: usize,
    row_stride: usize,
    is_initialised: bool,
    owner: PhantomData<&'a mut [f32]>,
}

impl<'a> MatrixMut<'a> {
    /// Rows one behind the other.
    pub(super) fn new(data: &'a mut [f32], n_rows: usize, n_columns: usize) -> Self {
        Self::strided(data, n_rows, n_columns, n_columns)
    }

    /// Rows that begin `row_stride` elements apart.
    pub(super) fn strided(data: &'a mut [f32], n_rows: usize, n_columns: usize, row_stride: usize) -> Self {
        assert_fits(data.len(), n_rows, n_columns, row_stride);
        let data = data.as_mut_ptr();
        Self { data, n_rows, n_columns, row_stride, is_initialised: true, owner: PhantomData }
    }

    /// Rows that begin `row_stride` elements apart, whose content nobody has written yet: a product may overwrite
    /// it but not add to it.
    pub(super) fn unwritten(
        data: &'a mut [MaybeUninit<f32>],
        n_rows: usize,
        n_columns: usize,
        row_stride: usize,
    ) -> Self {
        assert_fits(data.len(), n_rows, n_columns, row_stride);
        let data = data.as_mut_ptr().cast();
        Self { data, n_rows, n_columns, row_stride, is_initialised: false, owner: PhantomData }
    }

    /// `self = scale * a b`; writes every element.
    pub(super) fn assign_product(self, a: Matrix, b: Matrix, scale: f32, threads: Threads) {
        self.product(a, b, scale, threads, false);
    }

    /// `self += scale * a b`.
    pub(super) fn add_product(self, a: Matrix, b: Matrix, scale: f32, threads: Threads) {
        assert!(self.is_initialised, "a product is added to a matrix that was never written");
        self.product(a, b, scale, threads, true);
    }

    /// Each element is summed in an order that neither the number of threads nor their timing changes.
    fn product(self, a: Matrix, b: Matrix, scale: f32, threads: Threads, add: bool) {
        let (m, n, k) = (self.n_rows, self.n_columns, a.n_columns);
        assert_eq!((a.n_rows, b.n_rows, b.n_columns), (m, k, n), "shapes of a matrix product differ");
        let parallelism = match threads {
            Threads::All if m * n * k >= PARALLEL_FROM && rayon::current_num_threads() > 1 => {
                gemm::Parallelism::Rayon(0)
            }
            _ => gemm::Parallelism::None,
        };
        // SAFETY: the constructors checked that every (row, column) of the three views lies inside its slice, the
        // strides are those of the views, the destination is borrowed mutably and so overlaps neither source, and
        // it is read only if it was initialised (`add`)
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                self.data,
                1,
                self.row_stride as isize,
                add,
                a.data.as_ptr(),
                a.column_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr(),
                b.column_stride as isize,
                b.row_stride as isize,
                1.0_f32,
                scale,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}

/// How many threads a product may use.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// The calling thread: the caller itself runs in parallel.
    One,
    /// All of the pool where the product is large enough.
    All,
}

fn assert_fits(len: usize, n_rows: usize, n_columns: usize, row_stride: usize) {
    let end = if n_rows == 0 || n_columns == 0 { 0 } else { (n_rows - 1) * row_stride + n_columns };
    assert!(end <= len, "a matrix view exceeds its slice");
    assert!(n_rows <= 1 || n_columns <= row_stride, "the rows of a matrix view overlap");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 1013) as f32 / 506.5 - 1.0).collect()
    }

    #[test]
    fn product_of_strided_and_transposed_views_agrees_with_the_definition() {
        let (m, n, k) = (5, 7, 3);
        let (a, b) = (values(m * 4, 1), values(n * k, 2));
        let mut c = values(m * 9, 3);
        let before = c.clone();
        let view = MatrixMut::strided(&mut c, m, n, 9);
        view.add_product(Matrix::strided(&a, m, k, 4), Matrix::new(&b, n, k).t(), 0.5, Threads::One);
        for i in 0..m {
            for j in 0..9 {
                let product: f32 =
                    if j < n { (0..k).map(|l| a[i * 4 + l] * b[j * k + l]).sum() } else { 0.0 };
                assert!((c[i * 9 + j] - before[i * 9 + j] - 0.5 * product).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn product_does_not_depend_on_the_number_of_threads() {
        for (m, n, k) in [(300, 257, 129), (64, 1024, 512), (1000, 33, 700), (128, 384, 3072)] {
            let (a, b) = (values(m * k, 1), values(k * n, 2));
            let run = |n_threads: usize, threads: Threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool");
                let mut c = vec![0.0; m * n];
                pool.install(|| {
                    MatrixMut::new(&mut c, m, n).assign_product(
                        Matrix::new(&a, m, k),
                        Matrix::new(&b, k, n),
                        1.0,
                        threads,
                    );
                });
                c
            };
            let one = run(1, Threads::One);
            assert_eq!(one, run(2, Threads::All));
            assert_eq!(one, run(3, Threads::All));
        }
    }

    #[test]
    #[should_panic(expected = "a matrix view exceeds its slice")]
    fn view_larger_than_its_slice_panics() {
        Matrix::new(&[0.0; 11], 3, 4);
    }
}
