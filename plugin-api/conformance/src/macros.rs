//! One `#[test]` for each case.

/// Makes each case a test of the backend that the stage opens.
///
/// ```text
/// holdall_conformance::conformance_tests!(rust_stage::<Memory>(Claims::of(&PLUGIN), InMemory));
/// ```
///
/// The expression is evaluated once for each test. Cases that do not apply pass and say why
/// (`cargo test -- --nocapture`).
#[macro_export]
macro_rules! conformance_tests {
    ($stage:expr) => {
        $crate::__each_case! { __case_tests, $stage }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __case_tests {
    ($stage:expr; $($name:ident $id:literal)+) => {
        $(#[test] fn $name() { $crate::test_case($stage, $id); })+
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __case_ids {
    ($stage:expr; $($name:ident $id:literal)+) => { [$((stringify!($name), $id)),+] };
}

// A macro cannot read the registry; the test below holds the two together.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_case {
    ($then:ident, $stage:expr) => {
        $crate::$then! { $stage;
            a_01 "A-01" a_02 "A-02" a_03 "A-03" a_04 "A-04"
            a_05 "A-05" a_06 "A-06" a_07 "A-07" a_08 "A-08"
            a_09 "A-09" a_10 "A-10" a_11 "A-11" b_01 "B-01" b_02 "B-02"
            b_03 "B-03" b_04 "B-04" b_05 "B-05" b_06 "B-06"
            b_07 "B-07" b_08 "B-08" b_09 "B-09" c_01 "C-01"
            c_02 "C-02" c_03 "C-03" c_04 "C-04" c_05 "C-05"
            c_06 "C-06" c_07 "C-07" c_08 "C-08" c_09 "C-09"
            c_10 "C-10" c_11 "C-11" c_12 "C-12" c_13 "C-13"
            d_01 "D-01" d_02 "D-02" d_03 "D-03" d_04 "D-04"
            d_05 "D-05" d_06 "D-06" d_07 "D-07" d_08 "D-08"
            d_09 "D-09" d_10 "D-10" d_11 "D-11" d_12 "D-12"
            d_13 "D-13" d_14 "D-14" d_15 "D-15" e_01 "E-01" e_02 "E-02"
            e_03 "E-03" e_04 "E-04" e_05 "E-05" e_06 "E-06"
            e_07 "E-07" e_08 "E-08" e_09 "E-09" e_10 "E-10"
            e_11 "E-11" e_12 "E-12" e_13 "E-13" f_01 "F-01" f_02 "F-02"
            f_03 "F-03" f_04 "F-04" f_05 "F-05" f_06 "F-06"
            f_07 "F-07" f_08 "F-08" g_01 "G-01" g_02 "G-02"
            g_03 "G-03" g_04 "G-04" g_05 "G-05" g_06 "G-06"
            g_07 "G-07" g_08 "G-08" h_01 "H-01" h_02 "H-02"
            h_03 "H-03" h_04 "H-04" h_05 "H-05" h_06 "H-06"
            h_07 "H-07" h_08 "H-08" h_09 "H-09" h_10 "H-10"
            h_11 "H-11" h_12 "H-12" i_01 "I-01" i_02 "I-02"
            i_03 "I-03" i_04 "I-04" i_05 "I-05" i_06 "I-06"
            i_07 "I-07" i_08 "I-08" i_09 "I-09" i_10 "I-10"
            i_11 "I-11" i_12 "I-12" j_01 "J-01" j_02 "J-02"
            j_03 "J-03" j_04 "J-04" j_05 "J-05" j_06 "J-06"
            j_07 "J-07" j_08 "J-08" j_09 "J-09" j_10 "J-10"
            j_11 "J-11" j_12 "J-12" j_13 "J-13" j_14 "J-14"
            j_15 "J-15" j_16 "J-16" j_17 "J-17" k_01 "K-01"
            k_02 "K-02" k_03 "K-03" k_04 "K-04" k_05 "K-05"
            k_06 "K-06" k_07 "K-07" k_08 "K-08" k_09 "K-09"
            k_10 "K-10" k_11 "K-11" k_12 "K-12"
            k_13 "K-13" k_14 "K-14" k_15 "K-15"
            l_01 "L-01" l_02 "L-02" l_03 "L-03" l_04 "L-04"
            l_05 "L-05" l_06 "L-06" l_07 "L-07" l_08 "L-08"
            l_09 "L-09" l_10 "L-10" l_11 "L-11" l_12 "L-12"
            l_13 "L-13" l_14 "L-14" l_15 "L-15" l_16 "L-16"
            l_17 "L-17" l_18 "L-18" m_01 "M-01" m_02 "M-02"
            m_03 "M-03" m_04 "M-04" o_01 "O-01" o_02 "O-02"
            o_03 "O-03" o_04 "O-04" o_05 "O-05" o_06 "O-06"
            o_07 "O-07" o_08 "O-08" o_09 "O-09" o_10 "O-10"
            o_11 "O-11"
            p_01 "P-01" p_02 "P-02" p_03 "P-03" p_04 "P-04" p_05 "P-05"
            p_06 "P-06" p_07 "P-07" p_08 "P-08" p_09 "P-09" p_10 "P-10"
            p_11 "P-11" p_12 "P-12" p_13 "P-13" p_14 "P-14" p_15 "P-15"
            p_16 "P-16" p_17 "P-17" p_18 "P-18" p_19 "P-19" p_20 "P-20"
            p_21 "P-21" p_22 "P-22" p_23 "P-23" p_24 "P-24" q_01 "Q-01"
            q_02 "Q-02" q_03 "Q-03" q_04 "Q-04" q_05 "Q-05" q_06 "Q-06"
            q_07 "Q-07" q_08 "Q-08" q_09 "Q-09" q_10 "Q-10" r_01 "R-01"
            r_02 "R-02" r_03 "R-03" r_04 "R-04" r_05 "R-05" r_06 "R-06"
            r_07 "R-07" r_08 "R-08" r_09 "R-09" r_10 "R-10" s_01 "S-01"
            s_02 "S-02" s_03 "S-03" s_04 "S-04" s_05 "S-05" s_06 "S-06"
            s_07 "S-07" s_08 "S-08" s_09 "S-09" s_10 "S-10" s_11 "S-11"
            s_12 "S-12" s_13 "S-13" s_14 "S-14"
            t_01 "T-01" t_02 "T-02" t_03 "T-03" t_04 "T-04" t_05 "T-05"
            t_06 "T-06" t_07 "T-07" t_08 "T-08" t_09 "T-09"
            n_02 "N-02" n_04 "N-04"
            n_05 "N-05" n_06 "N-06" n_07 "N-07" n_08 "N-08"
            n_01 "N-01" n_03 "N-03"
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_of_the_registry_becomes_a_test() {
        let tests = crate::__each_case! { __case_ids, () };
        let registry: Vec<&str> = crate::cases().iter().map(|case| case.id).collect();
        assert_eq!(tests.map(|(_, id)| id).to_vec(), registry);
        for (name, id) in tests {
            assert_eq!(name, id.to_lowercase().replace('-', "_"));
        }
    }
}
